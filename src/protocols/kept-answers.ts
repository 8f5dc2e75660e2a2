/**
 * Bounds how long a call waits until its message is where the domain keeps it. In a cluster that may be for as long as JetStream has
 * no majority: the caller is told 503 instead, and whoever repeats the call with the same `id` doubles nothing. PROTOCOL.md section 20.
 */
import type { Domain } from '../actors/domain.js';
import { Timeouts } from '../clock.js';
import { UNAVAILABLE } from '../errors.js';
import type { Reply } from './commands.js';

const KEPT_MS = 5000;

type Waiting = () => void;

const calls = new WeakMap<Domain, Timeouts<Waiting>>();

function timeoutsOf(domain: Domain): Timeouts<Waiting> {
  const known = calls.get(domain);
  if (known) return known;
  const timeouts = new Timeouts<Waiting>(domain.runtime.clock, KEPT_MS, (fail) => fail());
  calls.set(domain, timeouts);
  domain.onEnd.add(() => timeouts.close());
  return timeouts;
}

/** A reply that is UNAVAILABLE where the call's own has not come in time; on a server on its own the call waits for its disk. */
export function withinBound<T>(domain: Domain, reply: Reply<T>): Reply<T> {
  const { store } = domain.runtime;
  if (store === null || store.node === null) return reply;
  const timeouts = timeoutsOf(domain);
  let isAnswered = false;
  const fail = (): void => {
    isAnswered = true;
    reply(UNAVAILABLE);
  };
  timeouts.start(fail);
  return (answer) => {
    if (isAnswered) return;
    isAnswered = true;
    timeouts.cancel(fail);
    reply(answer);
  };
}
