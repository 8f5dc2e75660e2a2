/** Users of a cluster whose nodes are killed: clients that keep positions and come back to other nodes, and what must be so whatever died. */
import { type CountingClient, CountingPoll, CountingSocket, CountingStream, type Frame } from './counting.js';
import type { Params } from './http.js';
import { siteA, type TestServer } from './server.js';
import { until } from './until.js';

export const SHOWS = ['available', 'away', 'dnd', 'invisible'];
export const ROOMS = ['tea', 'den'];

type Roll = (sides: number) => number;

/** The nodes that live. */
export interface Nodes {
  any(): TestServer;
}

interface Presence {
  readonly from: string;
  readonly type: string;
  readonly show: string;
}

/** The connections of clients: each that comes has the next one. */
const TRANSPORTS = [CountingSocket, CountingPoll, CountingStream];
let clients = 0;

/** One client, which comes back by itself to any node that lives whenever its connection ends. */
export class Survivor {
  /** Whom it takes to be there, with their shows. */
  beliefs: Map<string, string>;
  /** How often it was told that somebody came, or went. */
  readonly comings = new Map<string, number>();
  readonly goings = new Map<string, number>();
  /** Bodies of messages, each when it came first, and `missed` where it was told of a loss. */
  readonly log: string[] = [];
  /** When each entry of the log came, in ms. */
  readonly times: number[] = [];
  /** Where it was told that its ticket is unknown. */
  readonly unknown: string[] = [];
  readonly #client: CountingClient;
  readonly #heard = new Set<string>();
  /** What it has heard since it asked who is there, for each such question. */
  readonly #asking = new Set<Presence[]>();
  #hasLeft = false;
  #isBack = false;

  constructor(
    private readonly nodes: Nodes,
    readonly ticket: string,
    presences: Readonly<Record<string, string>>,
    private readonly names: readonly string[],
    readonly site: { readonly domain: string; readonly apikey: string } = siteA,
  ) {
    const Client = TRANSPORTS[clients++ % TRANSPORTS.length] as (typeof TRANSPORTS)[number];
    this.#client = new Client(0, ticket, site.domain);
    this.#client.onFrame = (frame) => this.#take(frame);
    this.beliefs = new Map(Object.entries(presences));
  }

  get isConnected(): boolean {
    return this.#isBack;
  }

  /** Connects through any node, as often as it is told to come later, and again when the connection ends. */
  async arrive(): Promise<void> {
    await until(
      `a client let in (${JSON.stringify(this.#client.frames.at(-1))})`,
      () => this.#hasLeft || this.#connect(),
    );
  }

  /** Answers whether it is let in; of polls and streams that is known when they are not. */
  #connect(): Promise<boolean> {
    const client = this.#client;
    client.port = this.nodes.any().port;
    return new Promise((resolve) => {
      client.onEnd = () => {
        resolve(false);
        this.#ended();
      };
      client.connect().then(
        () => {
          this.#isBack = !(client instanceof CountingSocket) || client.frames.at(-1)?.status === 'ok';
          resolve(this.#isBack);
        },
        (error) => {
          if (String(error).includes('4404')) this.unknown.push(`at port ${client.port}`);
          resolve(false);
        },
      );
    });
  }

  #ended(): void {
    if (!this.#isBack || this.#hasLeft) return;
    this.#isBack = false;
    this.arrive().catch(() => undefined);
  }

  /** Goes on through another node. */
  async move(): Promise<void> {
    this.#isBack = false;
    this.#client.disconnect();
    await this.arrive();
  }

  leave(): void {
    this.#hasLeft = true;
    this.#client.disconnect();
  }

  #take(frame: Frame): void {
    if (frame.missed !== undefined) {
      this.#note('missed');
      // What it has missed may be presences too: it asks, as the browser library does.
      void this.#ask();
    }
    for (const { body, id } of frame.messages ?? []) {
      if (this.#heard.has(id)) continue;
      this.#heard.add(id);
      this.#note(body);
    }
    for (const one of (frame.presences ?? []) as readonly Presence[]) this.#hear(one);
  }

  #note(what: string): void {
    this.log.push(what);
    this.times.push(performance.now());
  }

  async #ask(): Promise<void> {
    const later: Presence[] = [];
    this.#asking.add(later);
    const presences = await until('an answer to PRESENCES', async () => {
      try {
        return await this.nodes
          .any()
          .site(this.site)
          .presences(...this.names);
      } catch {
        return false;
      }
    });
    this.beliefs = new Map(Object.entries(presences));
    this.#asking.delete(later);
    for (const presence of later) this.#believe(presence);
  }

  #hear(presence: Presence): void {
    const { from, type } = presence;
    if (type === 'offline') this.goings.set(from, (this.goings.get(from) ?? 0) + 1);
    if (type === 'online') this.comings.set(from, (this.comings.get(from) ?? 0) + 1);
    for (const later of this.#asking) later.push(presence);
    this.#believe(presence);
  }

  #believe({ from, type, show }: Presence): void {
    if (type === 'offline') this.beliefs.delete(from);
    else if (type === 'online' || type === 'show') this.beliefs.set(from, show);
  }
}

/** A user, and what its clients have done. */
export class SurvivingUser {
  readonly tabs: Survivor[] = [];
  /** Those that have signed off, too. */
  readonly everyTab: Survivor[] = [];
  show = 'available';
  readonly rooms = new Set<string>();
  /** How often it has become visible to others, or invisible. */
  comings = 0;
  goings = 0;

  constructor(
    readonly name: string,
    private readonly nodes: Nodes,
    private readonly everybody: readonly string[],
    /** Whether it has one client at a time. */
    readonly isOne: boolean,
    readonly site: { readonly domain: string; readonly apikey: string } = siteA,
  ) {}

  /** Calls any node until the call is answered. */
  async call(path: string, params: Params): Promise<unknown> {
    return until(`an answer to ${path} of ${this.name}`, async () => {
      try {
        const { status, body } = await this.nodes.any().site(this.site).post(path, params);
        // A call that was answered 503, or not at all, may have been done all the same.
        return (status === 200 || (status === 404 && path.endsWith('/offline'))) && (body as object);
      } catch {
        return false;
      }
    });
  }

  /** What it did last, for the message of a failure. */
  readonly #did: string[] = [];

  get did(): string {
    return `${this.name}: ${this.#did.slice(-12).join(', ')}`;
  }

  async arrive(): Promise<void> {
    this.#did.push('arrives');
    const buddies = this.everybody.filter((other) => other !== this.name);
    const rooms = this.rooms.size > 0 ? { rooms: [...this.rooms].join() } : {};
    const params = { name: this.name, nick: this.name, show: this.show, buddies: buddies.join(), ...rooms };
    const answer = await this.call('/v5/presences/online', params);
    const { ticket, presences } = answer as { readonly ticket: string; readonly presences: Record<string, string> };
    const tab = new Survivor(this.nodes, ticket, presences, buddies, this.site);
    if (this.tabs.length === 0) this.comings += 1;
    this.tabs.push(tab);
    this.everyTab.push(tab);
    await tab.arrive();
  }

  async act(roll: Roll): Promise<void> {
    const tab = this.tabs[roll(this.tabs.length)] as Survivor;
    const { ticket } = tab;
    switch (roll(6)) {
      case 0:
      case 1: {
        const show = SHOWS[roll(SHOWS.length)] as string;
        if (show === 'invisible' && this.show !== show) this.goings += 1;
        if (show !== 'invisible' && this.show === 'invisible') this.comings += 1;
        this.show = show;
        this.#did.push(show);
        await this.call('/v5/presences/show', { ticket, show });
        return;
      }
      case 2:
      case 3: {
        const room = ROOMS[roll(ROOMS.length)] as string;
        const isIn = this.rooms.delete(room);
        if (!isIn) this.rooms.add(room);
        this.#did.push(`${isIn ? 'leaves' : 'joins'} ${room} (${this.tabs.indexOf(tab)})`);
        await this.call(`/v5/rooms/${room}/${isIn ? 'leave' : 'join'}`, { ticket });
        return;
      }
      case 4:
        this.#did.push('moves');
        return tab.move();
      default:
        if (this.isOne) return tab.move();
        if (this.tabs.length < 2) return this.arrive();
        this.#did.push(`signs ${this.tabs.indexOf(tab)} off`);
        this.tabs.splice(this.tabs.indexOf(tab), 1);
        tab.leave();
        await this.call('/v5/presences/offline', { ticket });
    }
  }
}

/** Sends numbers to one receiver, each until it is answered and always by the same id, before the next one. */
export class Sending {
  /** What was answered. */
  readonly answered: string[] = [];
  /** When each of them was sent first, in ms. */
  readonly sentAt: number[] = [];
  #isOver = false;
  readonly #loop: Promise<void>;

  constructor(
    private readonly nodes: Nodes,
    readonly mark: string,
    private readonly params: () => Params,
    private readonly site: { readonly domain: string; readonly apikey: string } = siteA,
  ) {
    this.#loop = this.#run();
  }

  async reaches(count: number): Promise<void> {
    await until(`${count} messages of ${this.mark}`, () => this.answered.length >= count);
  }

  async end(): Promise<void> {
    this.stop();
    await this.#loop;
  }

  stop(): void {
    this.#isOver = true;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const body = `${this.mark}-${this.answered.length}`;
      const sentAt = performance.now();
      await until(`an answer to ${body}`, async () => {
        try {
          const answer = await this.nodes
            .any()
            .site(this.site)
            .post('/v5/messages', { ...this.params(), body, id: body });
          return answer.status === 200 || this.#isOver;
        } catch {
          return this.#isOver;
        }
      });
      if (this.#isOver) return;
      this.answered.push(body);
      this.sentAt.push(sentAt);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
