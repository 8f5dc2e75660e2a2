/** A server whose clients go away by a clock of the test's: see src/actors/away.ts. */
import { ManualClock } from '../mqtt/support/clock.js';
import type { CountingClient } from './counting.js';
import { type Cleaner, type Settings, siteA, type TestServer, testServer, times } from './server.js';
import { until } from './until.js';

/** How long tickets are kept. */
export const keepMs = 20_000;

export async function awayWorld(t: Cleaner, overrides: Settings = {}) {
  const clock = new ManualClock();
  const server = await testServer(t, { presence: times, resume: { keepMs }, ...overrides }, clock);
  const metrics = server.metrics.domain(siteA.domain);
  return { clock, server, site: server.site(), metrics };
}

export type AwayWorld = Awaited<ReturnType<typeof awayWorld>>;

/** A client connects, and stays long enough for its ticket to be kept. */
export async function stay({ clock, server }: AwayWorld, client: CountingClient): Promise<void> {
  server.own(client);
  await client.connect();
  await server.settled();
  clock.advance(5000);
  await server.settled();
}

/** Its connection breaks. A client that is between two polls has none. */
export async function cut({ server, metrics }: AwayWorld, client: CountingClient): Promise<void> {
  const count = () => Object.values(metrics.connections).reduce((sum, n) => sum + n, 0);
  const before = count();
  client.disconnect();
  await until('the connection has gone', () => count() < Math.max(before, 1));
  await server.settled();
}

/** Its idle time passes, then the grace of its endpoint. */
export async function idleAndGrace({ clock, server }: AwayWorld): Promise<void> {
  clock.advance(times.clientIdleMs);
  await server.settled();
  clock.advance(times.graceMs);
  await server.settled();
}

export async function goAway(world: AwayWorld, client: CountingClient): Promise<void> {
  await stay(world, client);
  await cut(world, client);
  await idleAndGrace(world);
}

export async function statusOfTicket(server: TestServer, ticket: string): Promise<number> {
  return (await server.site().post('/v5/statuses', { ticket, to: 'nobody', show: 'typing' })).status;
}
