/**
 * What a ticket's client has by MQTT beyond a connection: identifiers in flight, its will, and how long that is kept. Goes
 * through a restart of the server with its client.
 */
import type { NamedClient } from '../../actors/client.js';
import type { Domain } from '../../actors/domain.js';
import type { SessionKeeper } from '../../actors/kept.js';
import type { Packet } from '../../actors/packet.js';
import type { ClientTransport } from './client-session.js';
import { Inflight } from './inflight.js';
import type { Connect, Will } from './packets.js';
import { dropRefused, sendTo } from './publish-to-address.js';
import type { Pending } from './received.js';
import { SessionWill } from './will.js';

/** Packets of one topic that follow each other and expire together: one publication. Those that have had to go are no longer in it. */
export type Batch = readonly Packet[];

/** A session as it is kept through a restart of the server. */
interface KeptSession {
  readonly clientId: string;
  readonly expiryS: number;
  readonly received: readonly number[];
  /** Identifiers, and the numbers of the packets that are in flight under them. */
  readonly inflight: readonly (readonly [id: number, packets: readonly number[]])[];
}

/** What outlives a connection: it goes on when the same client connects with the same client id. */
export class ClientSession {
  readonly inflight = new Inflight<Batch>();
  /** QoS 2 publications that have been passed on and are not released yet. */
  readonly received = new Set<number>();
  /** Those whose outcome is not known yet. */
  readonly pending = new Map<number, Pending>();
  readonly will: SessionWill;
  /** Seconds that the session outlives its connection. */
  expiryS = 0;
  /** Null: the session has no connection. */
  transport: ClientTransport | null = null;

  constructor(
    private readonly domain: Domain,
    readonly client: NamedClient,
    readonly clientId: string,
    private readonly isEnding: () => boolean,
  ) {
    this.will = new SessionWill(domain.runtime.clock, (will) => this.#publishWill(will));
  }

  /** A will is a message of the client's endpoint, sent while its ticket holds. */
  #publishWill(will: Will): void {
    const { domain, client } = this;
    if (this.isEnding() || domain.tickets.get(client.token) !== client) return;
    const outcome = sendTo(domain, client, will);
    if (outcome.reason !== 0) dropRefused(domain, will.topic, outcome);
  }
}

/** The sessions of a domain's clients. Each client has one, which goes with it. */
export class ClientSessions implements SessionKeeper {
  readonly #sessions = new WeakMap<NamedClient, ClientSession>();
  /** The server or the domain ends: nobody who loses a connection by that has gone. */
  isEnding = false;

  constructor(private readonly domain: Domain) {}

  /** The session that a CONNECT resumes or begins, and whether it was there. An earlier connection loses the session. */
  open(
    client: NamedClient,
    { clientId, clean }: Connect,
  ): { readonly session: ClientSession; readonly present: boolean } {
    this.#sessions.get(client)?.transport?.leave();
    const known = this.#sessions.get(client);
    if (known && known.clientId === clientId && !clean) {
      known.will.resumed();
      return { session: known, present: true };
    }
    known?.will.publishPending();
    return { session: this.#begin(client, clientId), present: false };
  }

  #begin(client: NamedClient, clientId: string): ClientSession {
    const session = new ClientSession(this.domain, client, clientId, () => this.isEnding);
    this.#sessions.set(client, session);
    return session;
  }

  save(client: NamedClient, numberOf: (packet: Packet) => number): KeptSession | null {
    const session = this.#sessions.get(client);
    if (!session) return null;
    const { clientId, expiryS, received, inflight } = session;
    return {
      clientId,
      expiryS,
      received: [...received],
      inflight: [...inflight.entries()].map(({ id, item }) => [id, item.map(numberOf)]),
    };
  }

  brief(client: NamedClient): KeptSession | null {
    const session = this.#sessions.get(client);
    if (!session) return null;
    const { clientId, expiryS, received } = session;
    return { clientId, expiryS, received: [...received], inflight: [] };
  }

  /** What `brief` answers of a client has changed. */
  changed({ address, endpoint }: NamedClient): void {
    this.domain.cluster.journal?.changed(address, endpoint);
  }

  restore(client: NamedClient, kept: unknown, packetOf: (number: number) => Packet | null): void {
    const { clientId, expiryS, received, inflight } = kept as KeptSession;
    const session = this.#begin(client, clientId);
    session.expiryS = expiryS;
    for (const id of received) session.received.add(id);
    for (const [id, numbers] of inflight) {
      session.inflight.restore(
        id,
        numbers.map(packetOf).filter((packet) => packet !== null),
        1,
        false,
      );
    }
  }

  /** Ends a session that does not outlive its connection. */
  end(session: ClientSession): void {
    if (this.#sessions.get(session.client) !== session) return;
    this.#sessions.delete(session.client);
    this.changed(session.client);
  }

  /** The server or the domain ends: no will goes out any more. */
  close(): void {
    this.isEnding = true;
    for (const client of this.domain.tickets.values()) this.#sessions.get(client)?.will.resumed();
  }
}
