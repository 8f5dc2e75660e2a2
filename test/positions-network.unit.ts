/**
 * Pages and phones on a network that cuts connections anywhere, also within a frame: every transport's own adapter, a clock
 * and a network of the test's. A page moves between WebSocket, polls and server-sent events and keeps one position; what it
 * has had is what was accepted for it, in order and once, or the difference is what its frames call missed and lost. A phone
 * has by MQTT what was accepted, in order; what comes again has an id that it knows.
 */
import { parser } from 'mqtt-packet';
import t from 'tap';
import { ConnectionLimits } from '../src/protocols/connection-limits.js';
import { EventsAdapter } from '../src/protocols/events.js';
import type { Headers } from '../src/protocols/headers.js';
import { PollAdapter } from '../src/protocols/jsonp.js';
import { WebSocketAdapter } from '../src/protocols/websocket.js';
import type { HttpRequest, HttpResponse, WebSocket } from '../src/uws.js';
import { type Machine, own, TestBroker, testMachine } from './mqtt/support/broker.js';
import { ManualClock } from './mqtt/support/clock.js';
import { TestDevice, turn } from './mqtt/support/device.js';
import { dice } from './support/dice.js';
import type { Cleaner } from './support/server.js';

const RUNS = 250;
const STEPS = 60;
const HOUR = 3_600_000;

interface Frame {
  readonly status?: string;
  readonly position?: string;
  readonly missed?: number | true;
  readonly lost?: number;
  readonly messages?: readonly { readonly body: string; readonly id: string }[];
}

/** One connection as the page sees it: bytes that are under way, and whatever it has read of them. */
abstract class Link {
  pending: Buffer = Buffer.alloc(0);
  #read: Buffer = Buffer.alloc(0);
  /** The server has ended it, or answered. */
  isEnded = false;
  isFull = false;

  constructor(protected readonly page: Page) {}

  protected carries(bytes: Buffer): void {
    this.pending = Buffer.concat([this.pending, bytes]);
  }

  /** So many more bytes reach the page. */
  read(count: number): void {
    this.#read = Buffer.concat([this.#read, this.pending.subarray(0, count)]);
    this.pending = this.pending.subarray(count);
    this.#read = this.#read.subarray(this.takes(this.#read));
  }

  /** Reads whole frames; answers how many bytes these were. */
  protected abstract takes(bytes: Buffer): number;
  /** The server learns that the connection is gone. */
  abstract lost(): void;
  /** The network takes more again. */
  drains(): void {
    this.isFull = false;
  }
  says(_text: string): void {}
}

const noHeaders = { origin: '', forwardedFor: '', forwardedProto: '', forwardedHost: '' } as unknown as Headers;

class SocketLink extends Link {
  readonly #holder: object;
  readonly #ws: WebSocket<never>;
  #isOpen = true;

  constructor(page: Page) {
    super(page);
    const { behaviour } = page.sockets;
    let holder: object = {};
    const req = { forEach: () => undefined, getHeader: (name: string) => (name.endsWith('version') ? '13' : '') };
    const res = {
      upgrade: (made: object) => {
        holder = made;
      },
    };
    behaviour.upgrade?.(res as never, req as never, null as never);
    this.#holder = holder;
    const close = () => this.lost();
    this.#ws = {
      getUserData: () => this.#holder,
      getBufferedAmount: () => (this.isFull ? 1 : 0),
      getRemoteAddressAsText: () => new ArrayBuffer(0),
      send: (text: string) => this.#frame('t', text),
      ping: (text: string) => this.#frame('p', text),
      end: close,
      close,
    } as unknown as WebSocket<never>;
    behaviour.open?.(this.#ws);
    this.says(`resume ${own.domain} ${page.position} ${page.ticket}`);
  }

  override says(text: string): void {
    const bytes = Buffer.from(text);
    const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
    if (this.#isOpen) this.page.sockets.behaviour.message?.(this.#ws, copy, false);
  }

  lost(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.isEnded = true;
    this.page.sockets.behaviour.close?.(this.#ws, 1006, new ArrayBuffer(0));
  }

  override drains(): void {
    super.drains();
    if (this.#isOpen) this.page.sockets.behaviour.drain?.(this.#ws);
  }

  #frame(kind: 't' | 'p', text: string): number {
    const payload = Buffer.from(kind + text);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(payload.length);
    this.carries(Buffer.concat([head, payload]));
    return this.isFull ? 0 : 1;
  }

  protected takes(bytes: Buffer): number {
    let at = 0;
    while (bytes.length - at >= 4 && bytes.length - at - 4 >= bytes.readUInt32BE(at)) {
      const end = at + 4 + bytes.readUInt32BE(at);
      const text = bytes.toString('utf8', at + 5, end);
      if (bytes.toString('utf8', at + 4, at + 5) === 'p') this.#pong(text);
      else if (text.startsWith('{')) this.page.take(JSON.parse(text) as Frame);
      at = end;
    }
    return at;
  }

  #pong(text: string): void {
    const bytes = new TextEncoder().encode(text).buffer as ArrayBuffer;
    if (this.#isOpen) this.page.sockets.behaviour.pong?.(this.#ws, bytes);
  }
}

/** What uWebSockets.js gives an adapter to answer a request on. */
class RequestLink extends Link {
  #aborted: () => void = () => undefined;
  #writable: (offset: number) => boolean = () => true;
  protected readonly res: HttpResponse;

  constructor(page: Page) {
    super(page);
    const res = {
      onAborted: (handler: () => void) => {
        this.#aborted = handler;
      },
      onWritable: (handler: (offset: number) => boolean) => {
        this.#writable = handler;
      },
      cork: (write: () => void) => write(),
      writeStatus: () => res,
      writeHeader: () => res,
      getRemoteAddressAsText: () => new ArrayBuffer(0),
      write: (text: string) => {
        this.carries(Buffer.from(text));
        return !this.isFull;
      },
      tryEnd: (body: Buffer) => {
        const head = Buffer.alloc(4);
        head.writeUInt32BE(body.length);
        this.carries(Buffer.concat([head, body]));
        this.isEnded = true;
        return [true, true];
      },
      end: (text: string) => {
        this.carries(Buffer.from(text));
        this.isEnded = true;
      },
    };
    this.res = res as unknown as HttpResponse;
  }

  protected request(lastEventId: string): HttpRequest {
    const query = new URLSearchParams({ domain: own.domain, ticket: this.page.ticket, position: this.page.position });
    const getHeader = (name: string) => (name === 'last-event-id' ? lastEventId : '');
    return { getQuery: () => `${query}`, getHeader } as unknown as HttpRequest;
  }

  lost(): void {
    if (!this.isEnded) this.#aborted();
    this.isEnded = true;
  }

  override drains(): void {
    super.drains();
    if (!this.isEnded) this.#writable(0);
  }

  protected takes(_bytes: Buffer): number {
    return 0;
  }
}

class PollLink extends RequestLink {
  constructor(page: Page) {
    super(page);
    page.polls.get(this.res, this.request(''), noHeaders);
  }

  protected override takes(bytes: Buffer): number {
    if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) return 0;
    this.page.take(JSON.parse(bytes.toString('utf8', 4)) as Frame);
    return bytes.length;
  }
}

class EventsLink extends RequestLink {
  constructor(page: Page) {
    super(page);
    page.events.get(
      this.res,
      this.request(page.roll(2) === 0 || page.position === '0' ? '' : page.position),
      noHeaders,
    );
  }

  protected override takes(bytes: Buffer): number {
    let at = 0;
    for (let end = bytes.indexOf('\n\n'); end >= 0; end = bytes.indexOf('\n\n', at)) {
      const lines = bytes.toString('utf8', at, end).split('\n');
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [id, data] = [field('id'), field('data')];
      if (id !== undefined && data !== undefined) {
        this.page.take(JSON.parse(data) as Frame);
        if (this.page.position !== id) throw new Error(`it counts ${this.page.position}, and the event says ${id}`);
      }
      at = end + 2;
    }
    return at;
  }
}

const LINKS = [SocketLink, PollLink, EventsLink] as const;

class Page {
  position = '0';
  readonly bodies: number[] = [];
  missed = 0;
  lost = 0;
  opened = 0;
  link: Link | null = null;
  /** Connections that the page has left, and of which the server does not know yet. */
  readonly left: Link[] = [];

  constructor(
    readonly ticket: string,
    readonly sockets: WebSocketAdapter,
    readonly polls: PollAdapter,
    readonly events: EventsAdapter,
    readonly roll: (sides: number) => number,
  ) {}

  take(frame: Frame): void {
    if (frame.status !== 'ok' || frame.missed === true) throw new Error(`told ${JSON.stringify(frame)}`);
    if (frame.position !== undefined) this.position = frame.position;
    const { messages = [], missed = 0, lost = 0 } = frame;
    for (const { body } of messages) this.bodies.push(Number(body));
    this.missed += missed;
    this.lost += lost;
    const dot = this.position.lastIndexOf('.');
    this.position = `${this.position.slice(0, dot)}.${this.count + messages.length + missed}`;
  }

  get count(): number {
    return Number(this.position.slice(this.position.lastIndexOf('.') + 1));
  }

  connect(): void {
    if (this.link) this.left.push(this.link);
    this.link = null;
    const Kind = LINKS[this.roll(LINKS.length)] as (typeof LINKS)[number];
    this.link = new Kind(this);
    this.opened += 1;
  }

  step(): void {
    const { link, roll, left } = this;
    switch (roll(9)) {
      case 0:
        return this.connect();
      case 1:
        if (link?.isEnded && link.pending.length === 0) this.connect();
        return;
      case 2:
      case 3:
        return link?.read(roll(link.pending.length + 1));
      case 4:
        return link?.read(link.pending.length);
      case 5:
        return link?.says(`${roll(2) === 0 ? 'ping' : 'received'} ${this.position}`);
      case 6:
        if (link?.isFull) link.drains();
        else if (link) link.isFull = true;
        return;
      case 7:
        left.splice(roll(left.length + 1), 1)[0]?.lost();
        return;
      case 8:
        link?.lost();
        this.link = null;
    }
  }
}

/** A machine whose adapters the pages of one test share. */
function machine(t: Cleaner, queuePackets: number) {
  const clock = new ManualClock();
  const made: Machine = testMachine(
    t,
    { limits: { queuePackets }, presence: { clientIdleMs: HOUR, graceMs: HOUR } },
    clock,
  );
  const { context } = made.host;
  const limits = new ConnectionLimits(context);
  const adapters = [
    new WebSocketAdapter(context, limits),
    new PollAdapter(context, limits),
    new EventsAdapter(context, limits),
  ] as const;
  t.teardown(() => {
    for (const adapter of adapters) adapter.close();
  });
  return { ...made, clock, adapters, broker: new TestBroker({} as never, context, context.domains as never) };
}

async function pageRun({ broker, clock, adapters }: ReturnType<typeof machine>, seed: number): Promise<Page> {
  const roll = dice(seed);
  const name = `user-${seed}`;
  const page = new Page(await broker.online(name), ...adapters, roll);
  let accepted = 0;
  const push = () => {
    accepted += 1;
    broker.push('tom', name, String(accepted));
  };
  page.connect();
  for (let step = 0; step < STEPS; step++) {
    if (roll(3) === 0) push();
    else page.step();
    if (roll(20) === 0) clock.advance(16_000);
    if (roll(2) === 0) await turn();
  }
  for (let turns = 0; page.count < accepted || page.position === '0'; turns++) {
    if (turns > 50) throw new Error(`has come to ${page.position} of ${accepted}`);
    page.connect();
    await turn();
    page.link?.read(page.link.pending.length);
  }
  if (page.bodies.some((body, i) => body <= (page.bodies[i - 1] ?? 0))) throw new Error(`has had ${page.bodies}`);
  const gone = accepted - page.bodies.length;
  if (page.count !== accepted || page.missed !== gone || page.lost !== gone) {
    throw new Error(`of ${accepted} ${gone} are gone: told ${page.missed} and ${page.lost}, counts ${page.count}`);
  }
  for (const link of [...page.left, page.link]) link?.lost();
  await broker.offline(page.ticket);
  await turn();
  return page;
}

for (const queuePackets of [0, 5]) {
  const what =
    queuePackets === 0
      ? 'have every message once and in order'
      : 'with queues that overflow are told exactly what they missed';
  t.test(`${RUNS} pages whose connections of all kinds are cut anywhere ${what}`, async (t) => {
    const world = machine(t, queuePackets);
    const sum = { bodies: 0, missed: 0, opened: 0 };
    for (let seed = 1; seed <= RUNS; seed++) {
      try {
        const { bodies, missed, opened } = await pageRun(world, seed);
        sum.bodies += bodies.length;
        sum.missed += missed;
        sum.opened += opened;
      } catch (error) {
        t.equal(`seed ${seed}: ${(error as Error).message}`, '');
        return;
      }
    }
    t.ok(sum.bodies > 5 * RUNS && sum.opened > 5 * RUNS, JSON.stringify(sum));
    t.equal(sum.missed > 0, queuePackets > 0, JSON.stringify(sum));
    // What overflowed in a client's queue waits for the endpoint's next client, and for the grace at most.
    world.clock.advance(2 * HOUR);
    await turn();
    const { queuedPackets, queuedBytes, unconfirmedPackets } = world.domain.metrics;
    t.strictSame([queuedPackets, queuedBytes, unconfirmedPackets], [0, 0, 0]);
  });
}

/** A phone whose session outlives its connections. */
class Phone {
  readonly bodies: number[] = [];
  readonly #ids = new Set<string>();
  again = 0;
  device: TestDevice | null = null;
  #parser = parser({ protocolVersion: 5 });
  /** What it has not acknowledged yet, in order. */
  #owed: number[] = [];
  #taken = 0;

  constructor(
    private readonly world: ReturnType<typeof machine>,
    private readonly ticket: string,
  ) {}

  connect(): void {
    const device = new TestDevice(this.world.host);
    this.device = device;
    this.#taken = 0;
    this.#owed = [];
    this.#parser = parser({ protocolVersion: 5 });
    this.#parser.on('packet', (packet) => {
      if (packet.cmd !== 'publish') return;
      this.#owed.push(packet.messageId ?? 0);
      const frame = JSON.parse(packet.payload.toString()) as Frame;
      for (const { body, id } of frame.messages ?? []) {
        if (this.#ids.has(id)) {
          this.again += 1;
          if (!packet.dup) throw new Error(`${body} comes again and does not say so`);
        } else this.bodies.push(Number(body));
        this.#ids.add(id);
      }
    });
    const login = { username: own.domain, password: Buffer.from(this.ticket) };
    device.send({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: 'phone', clean: false, keepalive: 0 },
      ...{ properties: { sessionExpiryInterval: 600, receiveMaximum: 4 }, ...login },
    });
  }

  /** So many more bytes reach it; null: all. */
  read(roll: ((sides: number) => number) | null): void {
    const { device } = this;
    if (!device) return;
    const written = Buffer.concat(device.wire.written);
    const rest = written.subarray(this.#taken);
    const part = roll ? rest.subarray(0, roll(rest.length + 1)) : rest;
    this.#taken += part.length;
    if (part.length > 0) this.#parser.parse(part);
  }

  acknowledge(count: number): void {
    for (const messageId of this.#owed.splice(0, count)) this.device?.send({ cmd: 'puback', messageId });
  }

  lose(): void {
    this.device?.connection.lost();
    this.device = null;
  }

  step(roll: (sides: number) => number): void {
    switch (roll(7)) {
      case 0:
        return this.connect();
      case 1:
        return this.device ? this.lose() : this.connect();
      case 2:
      case 3:
        return this.read(roll);
      case 4:
        return this.read(null);
      default:
        return this.acknowledge(1 + roll(3));
    }
  }
}

async function phoneRun(world: ReturnType<typeof machine>, seed: number) {
  const { broker, domain } = world;
  const roll = dice(seed);
  const name = `phone-${seed}`;
  const ticket = await broker.online(name);
  const phone = new Phone(world, ticket);
  const droppedBefore = domain.metrics.dropped.queueOverflow;
  let accepted = 0;
  phone.connect();
  for (let step = 0; step < STEPS; step++) {
    if (roll(3) === 0) {
      accepted += 1;
      broker.push('tom', name, String(accepted));
    } else phone.step(roll);
    if (roll(2) === 0) await turn();
  }
  phone.connect();
  for (let turns = 0; turns < 12; turns++) {
    await turn();
    phone.read(null);
    phone.acknowledge(100);
  }
  const dropped = domain.metrics.dropped.queueOverflow - droppedBefore;
  const gone = accepted - phone.bodies.length;
  if (phone.bodies.some((body, i) => body <= (phone.bodies[i - 1] ?? 0))) throw new Error(`has had ${phone.bodies}`);
  if (gone > dropped) throw new Error(`${gone} of ${accepted} are gone, and ${dropped} were dropped`);
  await turn();
  phone.lose();
  await broker.offline(ticket);
  await turn();
  return { bodies: phone.bodies.length, again: phone.again, gone };
}

for (const queuePackets of [0, 5]) {
  const what =
    queuePackets === 0 ? 'have every message in order' : 'with queues that overflow lose no more than is counted';
  t.test(`${RUNS} phones whose connections are cut anywhere ${what}`, async (t) => {
    const world = machine(t, queuePackets);
    const sum = { bodies: 0, again: 0, gone: 0 };
    for (let seed = 1; seed <= RUNS; seed++) {
      try {
        const { bodies, again, gone } = await phoneRun(world, seed);
        sum.bodies += bodies;
        sum.again += again;
        sum.gone += gone;
      } catch (error) {
        t.equal(`seed ${seed}: ${(error as Error).message}`, '');
        return;
      }
    }
    t.ok(sum.bodies > 5 * RUNS && sum.again > RUNS, JSON.stringify(sum));
    t.equal(sum.gone > 0, queuePackets > 0, JSON.stringify(sum));
    // What overflowed in a client's queue waits for the endpoint's next client, and for the grace at most.
    world.clock.advance(2 * HOUR);
    await turn();
    const { queuedPackets, queuedBytes, unconfirmedPackets } = world.domain.metrics;
    t.strictSame([queuedPackets, queuedBytes, unconfirmedPackets], [0, 0, 0]);
  });
}
