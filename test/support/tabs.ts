/** Users with several tabs on a cluster where things go wrong, and what should be so when they have gone well again. */
import type { Packet } from './packets.js';
import type { TestServer } from './server.js';
import type { Person, Site } from './site.js';
import { WebSocketClient } from './websocket.js';

/** No test lasts as long unless it hangs. */
const HANG_MS = 600_000;

export const SHOWS = ['available', 'away', 'dnd', 'invisible'];
export const ROOMS = ['tea', 'den'];

/** One client of a user: a ticket of its home, and a connection through whichever node. */
export class Tab {
  isAlive = true;
  readonly beliefs: Map<string, string>;
  /** Bodies of the messages that the tab was sent. */
  readonly heard: string[] = [];
  readonly #sockets: WebSocketClient[];

  private constructor(
    readonly home: TestServer,
    readonly ticket: string,
    presences: Readonly<Record<string, string>>,
    socket: WebSocketClient,
  ) {
    this.beliefs = new Map(Object.entries(presences));
    this.#sockets = [socket];
    void this.#listen();
  }

  static async open(home: TestServer, through: TestServer, params: Record<string, string>): Promise<Tab> {
    const { name = '', ...rest } = params;
    const { ticket, presences } = await home.site().online(name, rest);
    return new Tab(home, ticket, presences, await WebSocketClient.connect(through, ticket));
  }

  close(): void {
    this.isAlive = false;
    for (const socket of this.#sockets) socket.close();
  }

  /** Connects through another node; the connection before ends. */
  async move(through: TestServer): Promise<void> {
    this.#sockets.push(await WebSocketClient.connect(through, this.ticket));
  }

  /** Reads from one connection after the other, each until it ends. */
  async #listen(): Promise<void> {
    for (let socket = this.#sockets[0]; socket; socket = this.#sockets[0]) {
      try {
        for (;;) this.#take(await socket.next(HANG_MS));
      } catch {
        this.#sockets.shift();
      }
    }
    this.isAlive = false;
  }

  #take({ kind, type, from, show, body }: Packet): void {
    if (kind === 'message' && body !== undefined) this.heard.push(body);
    if (kind !== 'presence' || from === undefined) return;
    if (type === 'offline') this.beliefs.delete(from);
    else if (type === 'online' || type === 'show') this.beliefs.set(from, show ?? '');
  }
}

export class User {
  tabs: Tab[] = [];
  show = 'available';
  readonly rooms = new Set<string>();
  /** True: a tab has ended, and what the user did last may have been known to its node alone. */
  isUnsure = false;

  constructor(readonly name: string) {}

  /** Forgets the tabs that have ended. */
  get alive(): readonly Tab[] {
    const alive = this.tabs.filter((tab) => tab.isAlive);
    if (alive.length < this.tabs.length) this.isUnsure = true;
    this.tabs = alive;
    return alive;
  }

  get visible(): string | undefined {
    return this.alive.length === 0 || this.show === 'invisible' ? undefined : this.show;
  }

  /** Opens a tab whose ONLINE says the user's show and rooms anew, whatever the server knew before. */
  async arrive(home: TestServer, through: TestServer, others: string): Promise<void> {
    const rooms = [...this.rooms].join(',');
    const params = { name: this.name, show: this.show, buddies: others, ...(rooms === '' ? {} : { rooms }) };
    const tab = await Tab.open(home, through, params);
    this.tabs.push(tab);
    await this.#leaveOthers(tab);
  }

  async #leaveOthers({ home, ticket }: Tab): Promise<void> {
    for (const room of ROOMS) if (!this.rooms.has(room)) await home.site().leave(ticket, room);
  }

  async set(tab: Tab, show: string): Promise<void> {
    await tab.home.site().show(tab.ticket, show);
    this.show = show;
  }

  async join(tab: Tab, room: string): Promise<void> {
    await tab.home.site().join(tab.ticket, room);
    this.rooms.add(room);
  }

  async leave(tab: Tab, room: string): Promise<void> {
    await tab.home.site().leave(tab.ticket, room);
    this.rooms.delete(room);
  }

  async offline(tab: Tab): Promise<void> {
    await tab.home.site().offline(tab.ticket);
    tab.close();
  }

  /** Sets the show and the rooms again where `isUnsure`. */
  async assure(): Promise<void> {
    const [tab] = this.alive;
    if (!this.isUnsure || !tab) return;
    try {
      await this.set(tab, this.show);
      for (const room of this.rooms) await this.join(tab, room);
      await this.#leaveOthers(tab);
      this.isUnsure = false;
    } catch {
      // The tab's ticket is unknown: its connection is about to end.
    }
  }
}

function text(shows: ReadonlyMap<string, string>): string {
  return [...shows]
    .sort()
    .map((pair) => pair.join(':'))
    .join(' ');
}

/** Where users believe, or nodes answer, something wrong. `watchers`: somebody at home on each node. */
export async function disagreements(users: readonly User[], watchers: readonly Person[]): Promise<string[]> {
  for (const user of users) await user.assure();
  const wrong: string[] = [];
  const truth = new Map<string, string>();
  for (const { name, visible } of users) if (visible !== undefined) truth.set(name, visible);
  const compare = (who: string, found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>): void => {
    if (text(found) !== text(wanted)) wrong.push(`${who} has "${text(found)}", not "${text(wanted)}"`);
  };
  for (const user of users) {
    const wanted = new Map([...truth].filter(([name]) => name !== user.name));
    for (const tab of user.alive) compare(user.name, tab.beliefs, wanted);
  }
  for (const [i, { site, ticket }] of watchers.entries()) {
    compare(`n${i + 1}`, new Map(Object.entries(await presences(site, users))), truth);
    for (const room of ROOMS) {
      const members = new Map(Object.entries(await site.members(ticket, room)));
      compare(`${room} at n${i + 1}`, members, new Map([...truth].filter(([name]) => isIn(users, name, room))));
    }
  }
  return wrong;
}

function presences(site: Site, users: readonly User[]): Promise<Record<string, string>> {
  return site.presences(...users.map(({ name }) => name));
}

function isIn(users: readonly User[], name: string, room: string): boolean {
  return users.some((user) => user.name === name && user.rooms.has(room));
}
