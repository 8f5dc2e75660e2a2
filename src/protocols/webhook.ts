/**
 * A service's webhook, PROTOCOL.md section 9: each message is POSTed as JSON to the site, signed, one after another.
 * What fails is tried again with growing pauses; it waits in its own service's queue and holds nobody else up.
 *
 * The body is the message as clients have it (section 5). `X-NexTalk-Signature: sha256=…` is the hex HMAC-SHA256 of the
 * body, keyed with the domain's first API key as it stands in the configuration, without `sha256:` where it is hashed.
 */
import { createHmac } from 'node:crypto';
import type { Domain } from '../actors/domain.js';
import { hasExpired, type Packet } from '../actors/packet.js';
import type { Transport } from '../actors/transport.js';
import type { Clock } from '../clock.js';
import { seldom } from '../seldom.js';
import { encodePacket } from './frame.js';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
const ATTEMPTS = 10;
const ANSWER_MS = 10_000;

interface Attempt {
  readonly packet: Packet;
  /** The number of the attempt, from 1. */
  readonly count: number;
}

function signature(domain: Domain, body: string): string {
  const { apikey } = domain.settings;
  const key = (typeof apikey === 'string' ? apikey : apikey[0]) ?? '';
  return `sha256=${createHmac('sha256', key.replace(/^sha256:/, ''))
    .update(body)
    .digest('hex')}`;
}

/** Whether another try may help: the site or the network failed, rather than refused the message. */
function isWorthRetrying(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}

export function createWebhook(clock: Clock, domain: Domain, url: string, drained: () => void): Transport {
  let current: Attempt | null = null;
  let cancelPause: (() => void) | null = null;
  let abort: AbortController | null = null;
  let closed = false;

  function finish(): void {
    current = null;
    if (!closed) drained();
  }

  function fail(attempt: Attempt, why: string, retry: boolean): void {
    if (closed) return;
    if (!retry || attempt.count >= ATTEMPTS) {
      domain.drop(attempt.packet, 'webhookFailed', attempt.packet.topic);
      const what = { event: 'webhook failed', domain: domain.name, attempts: attempt.count, why };
      seldom.warn(`webhook failed ${domain.name}`, what, 'a message is dropped');
      finish();
      return;
    }
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt.count - 1));
    cancelPause = clock.after(pauseMs, () => tryAgain(attempt));
  }

  /** Its site has not answered for longer than the message may wait. */
  function tryAgain({ packet, count }: Attempt): void {
    if (!hasExpired(packet, clock.now())) return void post({ packet, count: count + 1 });
    domain.drop(packet, 'expired', packet.topic);
    finish();
  }

  async function post(attempt: Attempt): Promise<void> {
    current = attempt;
    const controller = new AbortController();
    abort = controller;
    // Not AbortSignal.timeout: within AbortSignal.any it is garbage to Node 20, and once collected never fires.
    const cancelAnswer = clock.after(ANSWER_MS, () => controller.abort(new Error(`no answer within ${ANSWER_MS} ms`)));
    const body = encodePacket(attempt.packet);
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      'x-nextalk-domain': encodeURIComponent(domain.name),
      'x-nextalk-signature': signature(domain, body),
    };
    try {
      const { signal } = controller;
      const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
      await answer.body?.cancel();
      if (answer.ok) finish();
      else fail(attempt, `status ${answer.status}`, isWorthRetrying(answer.status));
    } catch (error) {
      fail(attempt, error instanceof Error ? error.message : String(error), true);
    } finally {
      cancelAnswer();
    }
  }

  return {
    kind: 'webhook',
    deliver(packets) {
      const [packet] = packets;
      if (current || !packet) return 0;
      void post({ packet, count: 1 });
      return 1;
    },
    close() {
      closed = true;
      cancelPause?.();
      abort?.abort();
      return current ? [current.packet] : [];
    },
  };
}
