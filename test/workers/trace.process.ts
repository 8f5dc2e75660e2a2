/** A trace of one endpoint over all workers. */
import t from 'tap';
import type { PlacedHop, SharedTraceView } from '../../src/workers/tracing.js';
import { askAdmin } from '../support/admin.js';
import { skipWithout } from '../support/programs.js';
import { siteA } from '../support/server.js';
import { until } from '../support/until.js';
import { processOf, type WorkersServer, workersServer } from './support/server.js';

const skip = skipWithout('nats-server');

interface View {
  readonly trace: SharedTraceView | null;
  readonly notCounted: readonly string[];
}

async function call(server: WorkersServer, method: string, query: Record<string, string> = {}): Promise<View> {
  const answer = await askAdmin(server, `/api/trace?${new URLSearchParams(query)}`, {}, method);
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.body as View;
}

async function hopsUntil(
  server: WorkersServer,
  isWanted: (hops: readonly PlacedHop[]) => boolean,
): Promise<readonly PlacedHop[]> {
  return until('the hops of a trace', async () => {
    const { trace } = await call(server, 'GET');
    return trace && isWanted(trace.hops) && trace.hops;
  });
}

function said({ node, hop, kind, from, to }: PlacedHop): string {
  return `${node} ${hop}${kind ? ` ${kind} ${from}>${to}` : ''}`;
}

t.test('the workers of one server', { skip }, async (t) => {
  const server = await workersServer(t);

  await t.test('a trace without endpoint, of a room, or of too many minutes is refused', async (t) => {
    for (const query of ['', `domain=${siteA.domain}&id=gid:r`, `domain=${siteA.domain}&id=1&minutes=61`]) {
      const answer = await askAdmin(server, `/api/trace?${query}`, {}, 'POST');
      t.match(answer, { status: 400, body: { status: 'error', message: String } }, query);
    }
    t.strictSame(await call(server, 'GET'), { trace: null, notCounted: [] });
  });

  await t.test('there is one trace at a time, which ends when asked to and can be read afterwards', async (t) => {
    t.strictSame(await call(server, 'GET'), { trace: null, notCounted: [] });
    await call(server, 'POST', { domain: siteA.domain, id: '1' });
    await call(server, 'POST', { domain: siteA.domain, id: '2' });
    await server.site().push('9', '1', 'not traced any more');
    await server.site().push('9', '2', 'traced');
    const ended = await call(server, 'DELETE');
    t.match(ended.trace, { active: false, id: '2' });
    await server.site().push('9', '2', 'not traced any more');
    const hops = await hopsUntil(server, (hops) => hops.length > 0);
    t.strictSame(
      hops.map(({ hop, detail }) => `${hop} ${detail}`),
      ['accepted ', 'resolved nobody', 'dropped offline'],
    );
  });

  await t.test('a packet’s way over several workers is one list of hops, in order, each with its node', async (t) => {
    const one = await server.arriveAt('im-1', '1');
    const tab = await server.arriveAt('im-2', '2', { client: 'tab' });
    const phone = await server.arriveAt('im-1', '2', { client: 'phone' });
    t.match(await call(server, 'POST', { domain: siteA.domain, id: '2' }), {
      trace: { active: true, domain: siteA.domain, id: '2', hops: [] },
      notCounted: [],
    });
    await server.site().message(one.ticket, '2', 'a secret');
    for (const client of [tab, phone]) while ((await client.next()).body !== 'a secret');
    const hops = await hopsUntil(server, (hops) => hops.filter(({ hop }) => hop === 'confirmed').length === 2);
    // A client that is connected through another worker than its own may be attached there when the trace has begun.
    const way = hops.filter(({ packet }) => packet > 0);
    t.equal(new Set(way.map(({ packet }) => packet)).size, 1, 'all workers call the packet by one number');
    const lines = way.map((hop) => said(hop).replace(' message chat 1>2', ''));
    t.strictSame(lines.slice(0, 4), ['im-1 accepted', 'im-1 relayed', 'im-2 received', 'im-2 resolved']);
    const [relayed, received] = [lines.indexOf('im-2 relayed'), lines.lastIndexOf('im-1 received')];
    t.ok(relayed > 3 && received > relayed, 'the packet comes back to the sender’s node for the client there');
    for (const node of ['im-1', 'im-2']) t.ok(lines.indexOf(`${node} sent`) > lines.indexOf(`${node} queued`), node);
    t.match(way[1], { detail: 'to im-2' });
    t.match(way[2], { detail: 'from im-1' });
    t.strictSame(
      hops.map(({ seq }) => seq),
      hops.map((_, i) => i + 1),
    );
    t.ok(hops.every(({ at }, i) => at >= (hops[i - 1]?.at ?? 0)));
    t.notMatch(JSON.stringify(hops), 'secret');
    t.equal((await call(server, 'GET', { after: String(hops.length - 1) })).trace?.hops.length, 1);
  });

  await t.test('rooms, presence and connections are traced on whichever worker they are', async (t) => {
    const one = await server.arriveAt('im-1', '3', { rooms: 'r', buddies: '4' });
    const two = await server.arriveAt('im-2', '4', { rooms: 'r' });
    await call(server, 'POST', { domain: siteA.domain, id: '4' });
    await server.site().say(one.ticket, 'r', 'to all');
    while ((await two.next()).body !== 'to all');
    await one.show('away');
    while ((await two.next()).type !== 'show');
    await two.offline();
    const hops = (await hopsUntil(server, (hops) => hops.some(({ hop }) => hop === 'offline'))).map(said);
    const room = 'message grpchat 3>r';
    t.strictSame(
      hops.filter((hop) => hop.endsWith(room)),
      [
        ...['im-1 accepted', 'im-1 resolved', 'im-1 relayed'],
        ...['im-2 received', 'im-2 resolved', 'im-2 queued', 'im-2 sent', 'im-2 confirmed'],
      ].map((hop) => `${hop} ${room}`),
    );
    t.ok(hops.includes('im-2 sent presence show 3>4'));
    t.ok(hops.includes('im-2 ended') && hops.includes('im-2 offline'));
  });

  await t.test('a worker that is replaced takes part in the trace', async (t) => {
    await call(server, 'POST', { domain: siteA.domain, id: '5' });
    process.kill(await processOf(server, 'im-2'), 'SIGKILL');
    t.match((await server.process.event('worker-ended')).worker, 'im-2');
    await server.process.event('worker-started');
    const nodes = new Set<string>();
    await until('a hop of the new worker', async () => {
      await server.site().push('9', '5', 'lost');
      for (const { node } of (await call(server, 'GET')).trace?.hops ?? []) nodes.add(node);
      return nodes.has('im-2');
    });
    t.ok(nodes.has('im-2'));
  });
});
