/** The times after which clients and endpoints end. PROTOCOL.md sections 4 and 12. */
import { type Clock, Timeouts } from '../clock.js';
import type { Config } from '../config.js';
import type { Client } from './client.js';
import type { Runtime } from './domain.js';
import type { EndpointMessage } from './endpoint.js';
import type { Ref } from './system.js';

/** Once, the idle time of clients that a restart has brought back. */
const RETURN_MS = 60_000;

const KEPT_LONG_ENOUGH = 'away for longer than its ticket is kept';

export function newTimers(
  clock: Clock,
  { presence, resume }: Pick<Config, 'presence' | 'resume'>,
): Pick<Runtime, 'idle' | 'returning' | 'grace' | 'kept'> {
  const idle = new Timeouts<Client>(clock, presence.clientIdleMs, (client) => {
    client.endpoint.tell({ kind: 'idled', client });
  });
  const returning = new Timeouts<Client>(clock, Math.max(RETURN_MS, presence.clientIdleMs), (client) => {
    client.endpoint.tell({ kind: 'idled', client });
  });
  const grace = new Timeouts<Ref<EndpointMessage>>(clock, presence.graceMs, (endpoint) => {
    endpoint.tell({ kind: 'graceEnded' });
  });
  // From when a client is away: the idle time has gone by then.
  const restMs = resume.keepMs - presence.clientIdleMs;
  if (restMs <= 0) return { idle, returning, grace, kept: null };
  const kept = new Timeouts<Client>(clock, restMs, (client) => {
    client.endpoint.tell({ kind: 'keepEnded', client, why: KEPT_LONG_ENOUGH });
  });
  return { idle, returning, grace, kept };
}
