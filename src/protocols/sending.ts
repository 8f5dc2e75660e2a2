/** How much clients may send themselves: `limits.messagesPerSecond`, one rule for all ways that lead to it. */
import type { Client } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import { Rate } from './rate.js';

/** Seconds' worth that a client may send at once after a quiet time. */
const BURST_S = 2;

/** By client, not by connection: who comes again, or by another way, has no more. */
const sending = new Rate<Client>();

/** Takes one message of what the client may send now; false where there is none left, for its caller to refuse and count. */
export function maySend(domain: Domain, client: Client): boolean {
  const { messagesPerSecond } = domain.limits;
  return sending.take(client, messagesPerSecond, domain.runtime.clock.now(), BURST_S * messagesPerSecond);
}
