/**
 * The order in which a user's clients, on several nodes, are given what somebody says by one node after another, while a node is killed and
 * others are slow: whole domains of several nodes in one process, whose streams and JetStream move on when chance says so. PROTOCOL.md
 * sections 5, 12 and 20.
 *
 * `ORDER_MODEL_SEEDS=500` runs so many seeds; `ORDER_MODEL_FIRST` is the first of them. `ORDER_MODEL_DEATHS` and `ORDER_MODEL_ENDS` are how
 * many nodes are killed (1), and end in order (0), at most; with `ORDER_MODEL_LEFT=1` those leave the user in JetStream.
 */
import t from 'tap';
import type { Address } from '../../src/actors/address.js';
import type { NamedClient } from '../../src/actors/client.js';
import type { Asked } from '../../src/actors/position.js';
import type { CountedFrame, Transport } from '../../src/actors/transport.js';
import { isReplyError } from '../../src/errors.js';
import { online } from '../../src/protocols/commands.js';
import { locateTicket } from '../../src/protocols/credentials.js';
import { push } from '../../src/protocols/messages.js';
import { Parameters } from '../../src/protocols/parameters.js';
import { turn } from '../mqtt/support/device.js';
import { dice } from '../support/dice.js';
import { DOMAIN, type ModelNode, Network } from '../support/model-cluster.js';

const asked = Number(process.env.ORDER_MODEL_SEEDS ?? 0);
const seeds = asked || 20;
const first = Number(process.env.ORDER_MODEL_FIRST ?? 1);
const ADA = `/domain/${DOMAIN}/uid/ada` as Address;
const NODES = 5;
const TABS = 4;
const STEPS = 1500;
/** How often what is left is moved on, and clients come back, at the end of a run. */
const ROUNDS = 40;

/** How many nodes are killed, and end in order, at most. */
interface Ends {
  readonly deaths: number;
  readonly ends: number;
  /** Whether nodes that end in order leave their endpoints in JetStream; absent: they hand them over. */
  readonly areLeft?: boolean;
}

const most: Ends = {
  deaths: Number(process.env.ORDER_MODEL_DEATHS ?? 1),
  ends: Number(process.env.ORDER_MODEL_ENDS ?? 0),
  areLeft: process.env.ORDER_MODEL_LEFT === '1',
};

type Roll = (sides: number) => number;

function numberOf(fields: object): number {
  return Number((fields as { readonly body: string }).body);
}

/** A client that keeps a position, and confirms by it when it connects. */
class Tab {
  /** Numbers of messages, each when it came first. */
  readonly log: number[] = [];
  /** How often it was told that it may have missed something. */
  missed = 0;
  /** Where it is connected, or about to be; null: it is not. */
  node: ModelNode | null = null;
  #asked: Asked = 'first';
  #client: NamedClient | null = null;
  #transport: Transport | null = null;

  constructor(readonly ticket: string) {}

  get isConnected(): boolean {
    return this.#transport !== null;
  }

  connect(node: ModelNode): void {
    this.node = node;
    locateTicket(node.domain, this.ticket, true, (client) => {
      if (this.node !== node || node.isDead) return;
      if (client) this.#attach(client);
      else this.node = null;
    });
  }

  #attach(client: NamedClient): void {
    const transport: Transport = {
      kind: 'websocket',
      counting: {
        asked: this.#asked,
        resumed: (at) => {
          if (this.#transport === transport) this.#asked = at;
        },
        send: (frame, n, era) => {
          if (this.#transport === transport) this.#take(frame, n, era);
          return true;
        },
      },
      deliver: () => 0,
      close: () => {
        if (this.#transport === transport) this.#forget();
        return [];
      },
    };
    this.#client = client;
    this.#transport = transport;
    client.endpoint.tell({ kind: 'attach', client, transport });
  }

  #take({ packets, missed }: CountedFrame, n: number, era: string): void {
    this.#asked = { era, n };
    if (missed === true) this.missed += 1;
    for (const { kind, fields } of packets) {
      if (kind !== 'message') continue;
      const number = numberOf(fields);
      if (!this.log.includes(number)) this.log.push(number);
    }
  }

  #forget(): void {
    this.#transport = null;
    this.node = null;
  }

  /** Confirms all that it has had. */
  confirm(): void {
    const client = this.#client;
    const transport = this.#transport;
    const position = this.#asked;
    if (!client || !transport || typeof position !== 'object') return;
    client.endpoint.tell({ kind: 'confirm', client, transport, position });
  }

  disconnect(): void {
    const { node } = this;
    const client = this.#client;
    const transport = this.#transport;
    this.#forget();
    if (client && transport && !node?.isDead) client.endpoint.tell({ kind: 'detach', client, transport, unsent: [] });
  }
}

/** One run: a user with up to four clients, and somebody who writes numbers, each until it is answered. */
class Run {
  readonly network = new Network(NODES);
  readonly tabs: Tab[] = [];
  answered = 0;
  /** Numbers that wait at the end for clients whose tickets nobody has: their nodes died as they came online. */
  #waiting = new Set<number>();
  #comings = 0;
  #deaths = 0;
  #ends = 0;
  /** The node that has not answered yet; null: none. */
  #asking: ModelNode | null = null;
  #calls = 0;
  /** Streams that stand still. */
  #silent: readonly unknown[] = [];

  constructor(
    private readonly roll: Roll,
    private readonly most: Ends,
  ) {}

  /** Numbers that were answered, that no client has had, and that wait for none. */
  get lost(): number[] {
    const had = new Set([...this.tabs.flatMap(({ log }) => log), ...this.#waiting]);
    return Array.from({ length: this.answered }, (_, number) => number).filter((number) => !had.has(number));
  }

  #noteWaiting(): void {
    const clients = this.network.living.flatMap(({ domain }) => [...domain.tickets.values()]);
    const queued = clients.filter(({ transport }) => transport === null).flatMap((client) => client.queued);
    for (const { kind, fields } of queued) if (kind === 'message') this.#waiting.add(numberOf(fields));
  }

  get #open(): readonly ModelNode[] {
    return this.network.living.filter(({ isEnding }) => !isEnding);
  }

  #any(): ModelNode {
    return this.#open[this.roll(this.#open.length)] as ModelNode;
  }

  /** A node that has clients of the user. */
  #home(): ModelNode {
    const having = this.#open.filter(({ cluster, name }) => cluster.nodesOf(ADA).includes(name));
    return having[this.roll(having.length)] ?? this.#any();
  }

  #come(): void {
    const node = this.#any();
    this.#comings += 1;
    const fields = new Parameters(Object.entries({ name: 'ada', nick: 'Ada' }));
    online(node.domain, fields, (result) => {
      if (!node.isDead && !isReplyError(result)) this.tabs.push(new Tab(result.ticket));
    });
  }

  #say(): void {
    if (this.#asking && !this.#asking.isDead) return;
    const node = this.#any();
    this.#asking = node;
    this.#calls += 1;
    const call = this.#calls;
    const fields = { from: 'bob', to: 'ada', body: String(this.answered), id: `m${this.answered}` };
    push(node.domain, new Parameters(Object.entries(fields)), (result) => {
      if (call !== this.#calls || node.isDead) return;
      this.#asking = null;
      if (!result || !isReplyError(result)) this.answered += 1;
    });
  }

  #act(): void {
    const { roll, tabs, network, most } = this;
    const chance = roll(60);
    const tab = tabs[roll(tabs.length || 1)];
    if (chance < 20) this.#say();
    else if (chance < 30 && tab?.node === null) tab.connect(this.#any());
    else if (chance < 33 && tab?.isConnected) tab.disconnect();
    else if (chance < 34 && this.#comings < TABS) this.#come();
    else if (chance < 35 && this.#deaths < most.deaths && tabs.length > 1 && network.tickets.records.size > 0) {
      this.#deaths += 1;
      network.kill(this.#any());
    } else if (chance < 39) network.clock.advance(100);
    else if (chance < 41) {
      const streams = [...network.streams.values()];
      this.#silent = Array.from({ length: roll(4) }, () => streams[roll(streams.length)]);
    } else if (chance < 42 && this.#ends < most.ends && tabs.length > 1) {
      this.#ends += 1;
      void (most.areLeft ? this.#home().leave(true) : this.#any().leave());
    } else if (chance < 50 && most.areLeft) for (const one of tabs) one.confirm();
    for (const one of tabs) if (one.node?.isDead) one.disconnect();
  }

  /** Something that is on its way arrives; false: nothing is. */
  #move(silent: readonly unknown[] = []): boolean {
    const moving = this.network.moving.filter((tasks) => !silent.includes(tasks));
    moving[this.roll(moving.length || 1)]?.shift()?.();
    return moving.length > 0;
  }

  async #settle(): Promise<void> {
    do await turn();
    while (this.#move());
    await turn();
  }

  async run(): Promise<void> {
    this.#come();
    await this.#settle();
    for (let step = 0; step < STEPS; step += 1) {
      if (this.roll(4) === 0) this.#act();
      else this.#move(this.#silent);
      await turn();
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const tab of this.tabs) if (!tab.isConnected) tab.connect(this.#any());
      if (round < ROUNDS / 2) this.#say();
      await this.#settle();
      this.network.clock.advance(2000);
    }
    this.#noteWaiting();
    for (const node of this.network.nodes) node.close();
  }
}

t.test(
  'clients of a user on several nodes, one of which is killed, have messages in order, and lose none',
  async (t) => {
    if (asked > 0) t.setTimeout(asked * 10_000);
    for (let seed = first; seed < first + seeds; seed += 1) {
      const run = new Run(dice(seed * 7919), most);
      await run.run();
      for (const [at, { log }] of run.tabs.entries()) {
        const sorted = log.toSorted((a, b) => a - b);
        if (String(sorted) !== String(log)) t.strictSame(log, sorted, `seed ${seed}: client ${at}`);
      }
      const { lost } = run;
      if (lost.length > 0) t.strictSame(lost, [], `seed ${seed}: lost`);
      if (run.answered < ROUNDS / 4) t.ok(false, `seed ${seed}: ${run.answered} answered`);
    }
    t.pass(`${seeds} runs`);
  },
);

t.test(
  'of a node that leaves a user in JetStream nothing is lost or out of order, and no client is told of anything missed',
  async (t) => {
    for (let seed = first; seed < first + (asked || 16); seed += 1) {
      const run = new Run(dice(seed * 7919), { deaths: 0, ends: 1, areLeft: true });
      await run.run();
      for (const [at, { log, missed }] of run.tabs.entries()) {
        const sorted = log.toSorted((a, b) => a - b);
        if (missed > 0 || String(sorted) !== String(log))
          t.strictSame([log, missed], [sorted, 0], `seed ${seed}: client ${at}`);
      }
      t.strictSame(run.lost, [], `seed ${seed}`);
      t.ok(run.answered >= ROUNDS / 2);
    }
  },
);

/** Runs in which messages were out of order, or lost, before the cause was mended. */
const found: readonly (readonly [seed: number, Ends])[] = [
  [2431, { deaths: 1, ends: 0 }],
  [112, { deaths: 2, ends: 1 }],
  [123, { deaths: 2, ends: 1 }],
  [166, { deaths: 2, ends: 1 }],
  [177, { deaths: 2, ends: 1 }],
  [215, { deaths: 2, ends: 1 }],
  [313, { deaths: 2, ends: 1 }],
  [369, { deaths: 2, ends: 1 }],
  [502, { deaths: 2, ends: 1 }],
  [608, { deaths: 2, ends: 1 }],
  [619, { deaths: 2, ends: 1 }],
  [772, { deaths: 2, ends: 1 }],
  [955, { deaths: 2, ends: 1 }],
  [174, { deaths: 2, ends: 1 }],
  [610, { deaths: 2, ends: 1 }],
  [863, { deaths: 2, ends: 1 }],
  [1733, { deaths: 1, ends: 1 }],
  [285, { deaths: 1, ends: 2 }],
  [902, { deaths: 1, ends: 2 }],
  [3091, { deaths: 1, ends: 2 }],
  ...[82, 150, 179, 209, 265, 317, 395, 868].map((seed) => [seed, { deaths: 0, ends: 2 }] as const),
];

t.test('what nodes have that are killed or end at once is neither lost nor out of order', async (t) => {
  for (const [seed, most] of found) {
    const run = new Run(dice(seed * 7919), most);
    await run.run();
    for (const { log } of run.tabs) {
      t.strictSame(
        log,
        log.toSorted((a, b) => a - b),
        `seed ${seed}`,
      );
    }
    t.strictSame(run.lost, [], `seed ${seed}`);
  }
});
