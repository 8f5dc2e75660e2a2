import type { Answer, HttpRequest, Params } from './http.js';
import type { Packet } from './packets.js';
import type { TestServer } from './server.js';
import { type ChatClient, type ChatTransport, webSocket } from './transports.js';

export interface Online {
  readonly success: boolean;
  readonly ticket: string;
  readonly server: string;
  readonly jsonp: string;
  readonly jsonpd: string;
  readonly websocket: string;
  readonly mqtt?: string;
  readonly mqttd?: string;
  readonly presences: Record<string, string>;
}

function expectOk(call: string, answer: Answer): void {
  if (answer.status === 200 && answer.text === '{"status":"ok"}') return;
  throw new Error(`${call} answered ${answer.status} ${answer.text}`);
}

/** A site's backend: each of the ten calls as a method that throws unless the answer is the good one. */
export class Site {
  readonly server: TestServer;
  readonly domain: string;
  readonly apikey: string;

  constructor(server: TestServer, credentials: { domain: string; apikey: string }) {
    this.server = server;
    this.domain = credentials.domain;
    this.apikey = credentials.apikey;
  }

  /** Any request, authenticated as this site. */
  send(request: HttpRequest): Promise<Answer> {
    return this.server.request({ auth: this, ...request });
  }

  get(path: string, query: Params = {}): Promise<Answer> {
    return this.send({ path, query: { domain: this.domain, ...query } });
  }

  post(path: string, form: Params = {}): Promise<Answer> {
    return this.send({ method: 'POST', path, form: { domain: this.domain, ...form } });
  }

  async online(name: string, params: Params = {}): Promise<Online> {
    const answer = await this.post('/v5/presences/online', { name, nick: nickOf(name), ...params });
    if (answer.status !== 200) throw new Error(`ONLINE ${name} answered ${answer.status} ${answer.text}`);
    return answer.body as Online;
  }

  async offline(ticket: string): Promise<void> {
    expectOk('OFFLINE', await this.post('/v5/presences/offline', { ticket }));
  }

  async show(ticket: string, show: string, params: Params = {}): Promise<void> {
    expectOk('SHOW', await this.post('/v5/presences/show', { ticket, show, ...params }));
  }

  async presences(...ids: string[]): Promise<Record<string, string>> {
    return this.#listing('PRESENCES', await this.get('/v5/presences', { ids: ids.join(',') }));
  }

  async message(ticket: string, to: string, body: string, params: Params = {}): Promise<void> {
    expectOk('MESSAGES', await this.post('/v5/messages', { ticket, to, body, ...params }));
  }

  /** A message to a room. */
  say(ticket: string, room: string, body: string, params: Params = {}): Promise<void> {
    return this.message(ticket, room, body, { type: 'grpchat', ...params });
  }

  async push(from: string, to: string, body: string, params: Params = {}): Promise<void> {
    expectOk('PUSH', await this.post('/v5/messages', { from, to, body, ...params }));
  }

  async status(ticket: string, to: string, show: string, params: Params = {}): Promise<void> {
    expectOk('STATUSES', await this.post('/v5/statuses', { ticket, to, show, ...params }));
  }

  async members(ticket: string, room: string): Promise<Record<string, string>> {
    return this.#listing('MEMBERS', await this.get(`/v5/rooms/${encodeURIComponent(room)}/members`, { ticket }));
  }

  async join(ticket: string, room: string, params: Params = {}): Promise<void> {
    expectOk('JOIN', await this.post(`/v5/rooms/${encodeURIComponent(room)}/join`, { ticket, ...params }));
  }

  async leave(ticket: string, room: string, params: Params = {}): Promise<void> {
    expectOk('LEAVE', await this.post(`/v5/rooms/${encodeURIComponent(room)}/leave`, { ticket, ...params }));
  }

  /** Brings somebody online and connects them at once: ONLINE, then the transport. */
  async arrive(name: string, params: Params = {}, transport: ChatTransport = webSocket): Promise<Person> {
    const answer = await this.online(name, params);
    return new Person(this, name, answer, await transport.connect(this.server, answer.ticket, this.domain));
  }

  #listing(call: string, answer: Answer): Record<string, string> {
    if (answer.status !== 200) throw new Error(`${call} answered ${answer.status} ${answer.text}`);
    return answer.body as Record<string, string>;
  }
}

/** The nick that tests give: the id in capitals, so that nick and id are never mixed up. */
export function nickOf(name: string): string {
  return name.toUpperCase();
}

let marks = 0;

/** Somebody who is online and connected: one client of an endpoint. */
export class Person {
  readonly site: Site;
  readonly name: string;
  readonly answer: Online;
  readonly client: ChatClient;

  constructor(site: Site, name: string, answer: Online, client: ChatClient) {
    this.site = site;
    this.name = name;
    this.answer = answer;
    this.client = client;
  }

  get ticket(): string {
    return this.answer.ticket;
  }

  next(): Promise<Packet> {
    return this.client.next();
  }

  show(show: string, params: Params = {}): Promise<void> {
    return this.site.show(this.ticket, show, params);
  }

  offline(): Promise<void> {
    return this.site.offline(this.ticket);
  }

  /**
   * What came before a marker sent now, without the marker. The marker goes the way of the packets whose absence
   * is to be shown: from the same sender where that one has a ticket, else as a push.
   */
  async before(sender?: Person): Promise<Packet[]> {
    const mark = `marker ${++marks}`;
    if (sender) await this.site.message(sender.ticket, this.name, mark);
    else await this.site.push('marker', this.name, mark);
    return this.#until(mark);
  }

  /** What came before a marker, for one client of a service by turns: the marker goes to the client's full address, `terminal`. */
  async beforeAt(terminal: string): Promise<Packet[]> {
    const mark = `marker ${++marks}`;
    await this.site.push('marker', terminal, mark);
    return this.#until(mark);
  }

  async #until(mark: string): Promise<Packet[]> {
    const seen: Packet[] = [];
    for (;;) {
      const packet = await this.next();
      if (packet.body === mark) return seen;
      // A marker for another client of the same endpoint is no packet of the test's.
      if (!packet.body?.startsWith('marker ')) seen.push(packet);
    }
  }
}
