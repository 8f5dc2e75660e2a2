/** A server on a fake network, clock and disk that ends in order or is killed at any point, and starts again on what was on disk. */
import { findTicket } from '../../src/protocols/credentials.js';
import { push } from '../../src/protocols/messages.js';
import { Parameters } from '../../src/protocols/parameters.js';
import { own, type RestartingMachine, restartingMachine, TestBroker } from '../mqtt/support/broker.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { turn } from '../mqtt/support/device.js';
import { type Adapters, adaptersOf, HOUR } from './fake-network.js';
import { MemoryStore } from './memory-store.js';
import type { Settings } from './server.js';

export type Ending = 'in order' | 'killed' | 'killed at its end' | 'killed at its start';

export class RestartingNetwork {
  readonly clock = new ManualClock();
  store = new MemoryStore();
  machine!: RestartingMachine;
  adapters!: Adapters;
  broker!: TestBroker;
  /** Messages that the queues of servers before this one have dropped. */
  dropped = 0;
  /** Bodies of messages that were answered ok. */
  answered: ReadonlySet<number> = new Set();
  readonly #settings: Settings;

  constructor(
    durability: string,
    queuePackets: number,
    private readonly roll: (sides: number) => number,
    presence: object = { clientIdleMs: HOUR, graceMs: HOUR },
    domain: object = {},
    resume: object = {},
  ) {
    this.#settings = {
      limits: { queuePackets },
      resume,
      presence,
      domains: [{ ...own, ...domain, durability }],
      data: 'memory',
    };
  }

  get era(): string {
    return this.machine.restarts.era;
  }

  async start(): Promise<void> {
    this.machine = restartingMachine(this.#settings, this.clock, this.store);
    const { host } = this.machine;
    this.adapters = adaptersOf(host);
    this.broker = new TestBroker({} as never, host.context, host.context.domains as never);
    await this.machine.restarts.restore();
  }

  push(to: string, body: number, from = 'tom', type = 'chat'): void {
    const fields = new Parameters(Object.entries({ from, to, body: String(body), type }));
    push(this.machine.domain, fields, (answer) => {
      if (answer !== null) throw new Error(`the message was answered ${JSON.stringify(answer)}`);
      this.answered = new Set(this.answered).add(body);
    });
  }

  /** How many packets the server has accepted for the client of a ticket. */
  accepted(ticket: string): number {
    const client = findTicket(this.machine.domain, ticket);
    if (!client) throw new Error('its ticket is unknown');
    return client.accepted;
  }

  /** What has happened in the last moments is on disk: tickets, shows and rooms are written in groups. */
  async settle(): Promise<void> {
    await turn();
    this.clock.advance(100);
    await turn();
    this.store.commit();
  }

  /** Ends, and starts again. */
  async restart(ending: Ending): Promise<void> {
    if (ending === 'killed') this.#leave(this.#cut());
    else this.#leave(await this.#interrupted(() => this.#end(), ending === 'in order'));
    if (ending === 'killed at its start') {
      const left = await this.#interrupted(() => this.start(), false);
      this.#leave(left);
    }
    await this.start();
  }

  close(): void {
    this.#leave(this.store);
  }

  async #end(): Promise<void> {
    for (const adapter of Object.values(this.adapters)) adapter.close();
    for (const end of this.machine.host.farewells()) end();
    await turn();
    await this.machine.restarts.end();
  }

  /** What is on disk when it is killed now. */
  #cut(): MemoryStore {
    return this.store.killed(this.roll(this.store.uncommitted + 1));
  }

  /** What is on disk after `task`, or where that is killed before all of it is on disk. */
  async #interrupted(task: () => Promise<void>, isComplete: boolean): Promise<MemoryStore> {
    const { store } = this;
    const cuts: { store: MemoryStore; answered: ReadonlySet<number> }[] = [];
    store.beforeFlush = () => void cuts.push({ store: this.#cut(), answered: this.answered });
    await task();
    store.beforeFlush = () => undefined;
    const cut = isComplete ? undefined : cuts[this.roll(cuts.length)];
    if (cut) this.answered = cut.answered;
    return cut?.store ?? store.reopened();
  }

  #leave(store: MemoryStore): void {
    const { machine, adapters } = this;
    this.dropped += machine.domain.metrics.dropped.queueOverflow;
    for (const adapter of Object.values(adapters)) adapter.close();
    machine.abandon();
    machine.domain.journal?.close();
    this.store = store;
  }
}
