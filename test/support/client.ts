/** What the browser library is tested with: time by hand, and connections that a test speaks for. */
import type { Arrival } from '../../client/src/machine.js';
import { Machine, NoSession, type StateChange } from '../../client/src/machine.js';
import type { Clock, Ear, End, Frame, Kind, Link, Session } from '../../client/src/wire.js';

import { ManualClock } from '../mqtt/support/clock.js';

/** Time by hand; chance is always one half, so that waits are as long as they are on average. */
export class HandClock extends ManualClock implements Clock {
  chance = 0.5;

  random(): number {
    return this.chance;
  }
}

export const SESSION: Session = {
  domain: 'a.example',
  ticket: 'uid:jack:0df3',
  addresses: {
    websocket: 'ws://im.example/v5/wsocket',
    events: 'http://im.example/v5/events',
    packets: 'http://im.example/v5/packets',
  },
};

export function frame(parts: Partial<Frame> = {}): Frame {
  return { messages: [], presences: [], statuses: [], ...parts };
}

export function message(id: string, body = 'hi', from = 'anna'): Frame['messages'][number] {
  return { from, to: 'jack', nick: from, timestamp: '1000', type: 'chat', body, style: '', id };
}

/** A connection that the test speaks for. */
export class FakeLink implements Link {
  constructor(
    readonly kind: Kind,
    readonly ear: Ear,
    private readonly log: (line: string) => void,
    private readonly world: World,
  ) {}

  ping(position: string | null): boolean {
    this.log(`ping ${position}`);
    const { clock, pongMs, answersPings } = this.world;
    if (pongMs !== null) clock.after(pongMs, () => this.ear.alive());
    return answersPings;
  }

  call(): void {
    this.log('call');
  }

  close(): void {
    this.log(`close ${this.kind}`);
  }
}

function describe({ state, reason, retryAt, transport, fresh }: StateChange, now: number): string {
  const words: string[] = [state];
  if (transport) words.push(transport);
  if (fresh) words.push('fresh');
  if (retryAt !== undefined) words.push(`${retryAt - now} ms`);
  if (reason !== undefined) words.push(`(${reason})`);
  return words.join(' ');
}

/** A machine in a world of which each part is the test's. Everything that it does is a line of `log`. */
export class World {
  readonly clock = new HandClock();
  readonly machine: Machine;
  readonly frames: Frame[] = [];
  log: string[] = [];
  /** Kinds that this place does not have. */
  readonly missing = new Set<Kind>();
  answersPings = true;
  /** How long the server takes for a pong; null: none comes. */
  pongMs: number | null = null;
  isHidden = false;
  readonly links: FakeLink[] = [];
  #come: ((arrival: Arrival) => void)[] = [];
  #refuse: ((error: Error) => void)[] = [];

  constructor(kinds: readonly Kind[] = ['websocket', 'events', 'poll']) {
    const say = (line: string): void => void this.log.push(line);
    this.machine = new Machine({
      clock: this.clock,
      kinds,
      identify: () => {
        say('identify');
        return new Promise((resolve, reject) => {
          this.#come.push(resolve);
          this.#refuse.push(reject);
        });
      },
      open: (kind, _session, ear) => {
        say(`open ${kind}`);
        if (this.missing.has(kind)) return null;
        const link = new FakeLink(kind, ear, say, this);
        this.links.push(link);
        return link;
      },
      isHidden: () => this.isHidden,
      onState: (change) => say(describe(change, this.clock.now())),
      onFrame: (one) => this.frames.push(one),
      onReply: () => say('reply'),
      onFailed: (ref) => say(`failed ${ref}`),
    });
  }

  get link(): FakeLink {
    const link = this.links.at(-1);
    if (!link) throw new Error('nothing was opened');
    return link;
  }

  /** The site or the server gives a ticket. */
  async come(arrival: Arrival = { session: SESSION }): Promise<void> {
    this.#come.at(-1)?.(arrival);
    await Promise.resolve();
    await Promise.resolve();
  }

  async refuse(error: Error = new NoSession('no network')): Promise<void> {
    this.#refuse.at(-1)?.(error);
    await Promise.resolve();
    await Promise.resolve();
  }

  /** The server takes the connection. */
  take(position: string | null = '7.0'): void {
    this.link.ear.position();
    this.link.ear.opened(position);
  }

  end(end: End): void {
    this.link.ear.ended(end);
  }

  lose(reason = 'cut'): void {
    this.end({ kind: 'lost', reason });
  }
}
