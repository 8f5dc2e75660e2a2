/** Long polls: PROTOCOL sections 6 and 12. */
import { endOf, HttpLink, type Network } from './http.js';
import { type Ear, type End, type Frame, frameOf, type Json, type Link, parse, type Session, sizeOf } from './wire.js';

/** A server answers after 25 s at most. With positions nothing is lost by asking anew a little sooner. */
const PATIENT_MS = 30_000;
const ANEW_MS = 24_000;
/** A poll that has not been refused by then is one that waits for packets. */
const TAKEN_MS = 1_000;
/** Empty answers come no faster than this: two pages with one ticket, or a proxy, would make a loop of them. */
const EMPTY_MS = 1_000;

class PollLink extends HttpLink {
  /** Polls until it is closed or a poll fails. */
  async run(): Promise<void> {
    const { clock } = this.network;
    while (!this.isClosed) {
      const askedAt = clock.now();
      const wasOpen = this.isOpen;
      const end = await this.#poll().catch((): End => ({ kind: 'lost', reason: 'no network' }));
      if (this.isClosed) return;
      if (end === 'empty' && wasOpen) await this.#pause(askedAt + EMPTY_MS - clock.now());
      else if (end !== null && end !== 'empty') this.end(end);
    }
  }

  async #poll(): Promise<End | 'empty' | null> {
    const position = this.ear.position();
    if (this.isClosed) return null;
    const taken = this.after(TAKEN_MS, () => this.opened(position));
    const isCounted = position !== null && position !== '0';
    let isLate = false;
    const late = this.after(isCounted ? ANEW_MS : PATIENT_MS, () => {
      isLate = true;
      this.abort?.abort();
    });
    try {
      const response = await this.get(this.session.addresses.packets, position);
      if (!response.ok) return await this.#refused(response);
      const json = parse(await response.text());
      return json ? this.#take(json) : { kind: 'lost', reason: 'no frame' };
    } catch (error) {
      if (isLate && isCounted) return null;
      throw error;
    } finally {
      taken();
      late();
    }
  }

  async #refused(response: Response): Promise<End> {
    const end = await endOf(response);
    // Every server polls: what has no such path is not there at the moment.
    return end.kind === 'unsupported' ? { ...end, kind: 'lost' } : end;
  }

  #take(json: Json): End | 'empty' | null {
    if (this.isClosed) return null;
    if (json.status === 'stopped') return { kind: 'stopped', reason: 'stopped' };
    if (json.replaced === true) return { kind: 'replaced' };
    const frame: Frame = frameOf(json);
    this.opened(frame.position ?? this.ear.position());
    this.ear.alive();
    this.ear.frame(frame);
    return sizeOf(frame) === 0 ? 'empty' : null;
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (delayMs > 0) this.after(delayMs, resolve);
      else resolve();
    });
  }
}

export function openPoll(network: Network, session: Session, ear: Ear): Link {
  const link = new PollLink(network, session, ear);
  void Promise.resolve().then(() => link.run());
  return link;
}
