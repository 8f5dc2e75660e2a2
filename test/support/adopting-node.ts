/** A node that takes an endpoint over from nodes that are gone, with streams in memory, and an actor that says what it is given. */
import type { Address } from '../../src/actors/address.js';
import type { EndpointMessage } from '../../src/actors/endpoint.js';
import { Packet } from '../../src/actors/packet.js';
import { hashOf } from '../../src/actors/tickets.js';
import type { ClusteredDomain } from '../../src/cluster/domain.js';
import { HeldMessages } from '../../src/cluster/held-messages.js';
import { LeftQueues, leftText } from '../../src/cluster/left-queues.js';
import { NumberedPackets } from '../../src/cluster/numbered-packets.js';
import { Orphans } from '../../src/cluster/orphans.js';
import type { Peer } from '../../src/cluster/peer.js';
import { TicketRecords } from '../../src/cluster/ticket-records.js';
import type { ClusterMetrics } from '../../src/metrics.js';
import { MemoryStream } from './memory-stream.js';

export const name = 'a.example';
export const address = '/domain/a.example/uid/jack' as Address;
/** A ticket's token that the node n1 has issued. */
const token = `${Buffer.from('n1').toString('hex')}${'0'.repeat(32)}`;
export const kept = {
  ...{ nick: 'jack', show: 'available' as const, status: '', buddies: [], rooms: [], isAway: false },
  clients: [{ hash: hashOf(token), name: 'one', isNamed: false, isAway: false }],
};

/** One node; the nodes before it are gone. */
export class AdoptingNode {
  readonly held: HeldMessages;
  readonly records: TicketRecords;
  readonly orphans: Orphans;
  readonly given: string[] = [];
  /** What its endpoint's first client has queued. */
  readonly queued: string[] = [];
  /** The eras that its endpoint's clients go on in; null: the one before. */
  readonly eras: (string | null)[] = [];
  readonly queues: LeftQueues;
  /** Called for what its endpoint's actor is told; a node that dies does not come to write its record. */
  onKeep: () => void = () => undefined;
  birth = 0;
  readonly domains = new Map<string, ClusteredDomain>();
  /** The parts of the endpoint that its tracker knows. */
  parts: readonly { readonly node: Pick<Peer, 'name' | 'up'>; readonly hidden: boolean }[] = [];
  readonly peers = new Map<string, Peer>();
  isDead = false;

  constructor(
    readonly nodeName: string,
    tickets: MemoryStream,
    messages: MemoryStream,
    answersFromDisk = true,
  ) {
    const incarnation = 1;
    const jetstream = { available: true, watchers: new Set<(available: boolean) => void>() };
    const options = {
      jetstream,
      stream: tickets.portOf(this),
      node: nodeName,
      incarnation,
      keptMs: Number.POSITIVE_INFINITY,
      now: () => 0,
      onConflict: () => undefined,
    };
    this.records = new TicketRecords(options);
    this.held = new HeldMessages(messages.portOf(this), { name: nodeName, mesh: { incarnation, peers: this.peers } });
    this.queues = new LeftQueues(new MemoryStream().portOf(this));
    const tell = (message: EndpointMessage): void => {
      if (message.kind === 'pass') message.done();
      if (message.kind === 'keep') this.onKeep();
      if (message.kind !== 'adopt') return;
      const { moved, packetOf, era } = message;
      this.eras.push(era);
      for (const number of moved.queues?.unseen ?? []) this.given.push(bodyOf(packetOf(number)));
      for (const number of moved.queues?.clients[0]?.entries ?? [])
        this.queued.push(bodyOf(packetOf(number as number)));
      this.birth = 1;
      message.done(true);
    };
    const domain = {
      ...{ name, answersFromDisk, shortage: null, settings: { durability: 'always' } },
      tickets: { find: () => null },
      tracker: { records: { get: () => ({ birth: this.birth, parts: this.parts }) } },
      endpoint: () => ({ tell }),
    };
    const items = { tookOver: () => '' };
    const tracker = { records: new Map() };
    const { domains } = this;
    domains.set(name, { domain, items, tracker } as unknown as ClusteredDomain);
    this.orphans = new Orphans({
      ...{ name: nodeName, records: this.records, held: this.held, domains },
      mesh: {
        peers: this.peers,
        send: () => undefined,
        broadcast: () => undefined,
        barrier: (done) => done(),
        incarnation,
      },
      rpc: { call: (_peer, _kind, _fields, _ms, done) => void setImmediate(done, null) },
      isYoung: () => true,
      now: () => 0,
      isFirst: () => false,
      isQuiet: () => false,
      left: this.queues,
      leaversOf: () => new Set(),
      metrics: { adopted: 0, adoptionsDelayed: 0 } as ClusterMetrics,
    });
    this.cluster = domains.get(name) as ClusteredDomain;
  }

  readonly cluster: ClusteredDomain;

  hold(body: string): void {
    const packet = packetOf(body);
    this.held.hold(name, address, packet, () => `[${wireOf(packet)},0,0]`);
  }

  /** Ends in order, with messages that wait. */
  leave(...bodies: readonly string[]): void {
    const packets = new NumberedPackets(wireOf);
    const unseen = bodies.map((body) => packets.numberOf(packetOf(body)));
    const queues = { node: 'uid', id: 'jack', clients: [], turns: [], unseen };
    this.records.put(name, address, kept, leftText(queues, packets, 0));
  }

  find(): Promise<unknown> {
    return new Promise((done) => this.orphans.find(this.cluster, address, token, done));
  }
}

export function packetOf(body: string): Packet {
  const fields = { from: 'anna', to: 'jack', nick: 'anna', timestamp: '1', type: 'chat', body, style: '', id: body };
  return new Packet('message', fields as never, address, null);
}

export function wireOf({ fields }: Packet): string {
  return JSON.stringify(['message', address, null, fields]);
}

function bodyOf(packet: Packet | null): string {
  return packet ? (packet.fields as { readonly body: string }).body : '';
}
