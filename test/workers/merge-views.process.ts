/** The admin port of a server with workers: what it shows of all workers together. */
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import type { DomainPage } from '../../src/admin/domain-list.js';
import type { Rooms } from '../../src/admin/lookup.js';
import type { MergedLookup } from '../../src/workers/merge-views.js';
import type { ServerView } from '../../src/workers/server-view.js';
import { askAdmin } from '../support/admin.js';
import { skipWithout } from '../support/programs.js';
import { siteA } from '../support/server.js';
import { until } from '../support/until.js';
import { processOf, type WorkersServer, workersServer } from './support/server.js';
import { workersOf } from './support/workers.js';

const skip = skipWithout('nats-server');

async function read<T>(server: WorkersServer, path: string): Promise<T & { readonly notCounted: readonly string[] }> {
  const answer = await askAdmin(server, path);
  if (answer.status !== 200) throw new Error(`${path} answered ${answer.status} ${answer.text}`);
  return answer.body as T & { readonly notCounted: readonly string[] };
}

function lookup(server: WorkersServer, id: string): Promise<MergedLookup & { readonly notCounted: readonly string[] }> {
  return read(server, `/api/endpoint?${new URLSearchParams({ domain: siteA.domain, id })}`);
}

/** Calls `read` again and again until its answer is as wanted. */
async function wanted<T>(read: () => Promise<T>, isWanted: (value: T) => boolean): Promise<T> {
  let value: T | undefined;
  await until(
    () => `wanted, there is ${JSON.stringify(value)}`,
    async () => {
      value = await read();
      return isWanted(value);
    },
  );
  return value as T;
}

/** The events of the admin port's stream, as they come. */
async function* eventsOf(server: WorkersServer): AsyncGenerator<{
  readonly fields?: readonly string[];
  readonly sample?: readonly number[];
  readonly samples?: readonly (readonly number[])[];
  readonly node: ServerView;
}> {
  const answer = await fetch(`http://127.0.0.1:${server.adminPort}/api/stream`);
  let text = '';
  for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) yield JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '');
  }
}

t.test('the workers of one server', { skip }, async (t) => {
  const server = await workersServer(t);

  await t.test('the stream adds the workers’ numbers up each second, and says who the workers are', async (t) => {
    const one = await server.arriveAt('im-1', 'one', { rooms: 'r' });
    const two = await server.arriveAt('im-2', 'two', { rooms: 'r' });
    const again = await server.arriveAt('im-1', 'two', { rooms: 'r' });
    let fields: readonly string[] = [];
    let requests = 0;
    for await (const { fields: named, sample, node } of eventsOf(server)) {
      fields = named ?? fields;
      if (!sample) continue;
      const of = (field: string): number => sample[fields.indexOf(field)] ?? Number.NaN;
      requests = Math.max(requests, of('requestRate'));
      const endpoints = node.cluster?.nodes.map((other) => other.endpoints);
      const told = [of('websocket'), of('online'), of('clients'), of('rooms'), node.cluster?.endpoints, endpoints];
      // The heartbeats of the workers do not come at the same time.
      if (!isDeepStrictEqual(told, [3, 2, 3, 1, 2, [2, 1]]) || !node.ready || requests === 0) {
        await one.show('away');
        continue;
      }
      t.ok(of('rssBytes') > (node.workers[0]?.process?.rssBytes ?? 0));
      t.match(node, { pid: server.process.child.pid, cluster: { name: null, connected: true, endpoints: 2 } });
      t.match(node.cluster?.nodes, [
        { name: 'im-1', worker: true, connected: true, endpoints: 2, state: 'up' },
        { name: 'im-2', worker: true, connected: true, endpoints: 1, state: 'up' },
      ]);
      t.match(node.cluster?.totals, { replicaEndpoints: 2 });
      t.strictSame(
        node.workers.map(({ name, state, restarts }) => [name, state, restarts]),
        [
          ['im-1', 'ready', 0],
          ['im-2', 'ready', 0],
        ],
      );
      t.equal(
        node.workers.reduce((sum, { process }) => sum + (process?.connections ?? 0), 0),
        3,
      );
      break;
    }
    for (const person of [one, two, again]) await person.offline();
  });

  await t.test(
    'domains and rooms of all workers are listed once, and endpoints on several workers count once',
    async (t) => {
      await server.arriveAt('im-1', 'one', { rooms: 'both,first' });
      await server.arriveAt('im-2', 'two', { rooms: 'both,second' });
      await server.arriveAt('im-2', 'three', { rooms: 'both' });
      await server.arriveAt('im-1', 'three', { rooms: 'both' });
      const rooms = await wanted(
        () => read<Rooms>(server, '/api/rooms'),
        ({ rooms }) => rooms.length === 3 && rooms[0]?.members === 3,
      );
      t.strictSame(
        [...rooms.rooms].sort((a, b) => (a.room < b.room ? -1 : 1)),
        [
          { domain: siteA.domain, room: 'both', members: 3 },
          { domain: siteA.domain, room: 'first', members: 1 },
          { domain: siteA.domain, room: 'second', members: 1 },
        ],
      );
      t.match(rooms, { total: 3, notCounted: [] });
      t.match(await read(server, '/api/rooms?limit=1'), { total: 3, rooms: [{ room: 'both' }] });
      t.strictSame((await read<Rooms>(server, '/api/rooms?domain=nowhere')).rooms, []);
      const { domains, next } = await read<DomainPage>(server, '/api/domains');
      t.equal(next, null);
      t.match(domains, [{ domain: siteA.domain, source: 'file', endpoints: 3, connections: 4 }]);
      const { metrics } = await read<{ metrics: Record<string, unknown> }>(server, '/api/stats');
      const one = (value: number) => [{ labels: {}, value }];
      const ofDomain = (value: number) => [{ labels: { domain: siteA.domain }, value }];
      t.strictSame(metrics.nextalk_endpoints_online, one(3));
      t.strictSame(metrics.nextalk_domain_endpoints_online, ofDomain(3));
      t.strictSame(metrics.nextalk_endpoints_shared, one(1));
      t.strictSame(metrics.nextalk_clients, one(4));
      t.strictSame(metrics.nextalk_rooms, one(3));
      t.strictSame(metrics.nextalk_domain_rooms, ofDomain(3));
    },
  );

  await t.test('an endpoint is found on whichever workers it has clients, and shown as one', async (t) => {
    const one = await server.arriveAt('im-1', '42', { client: 'tab', rooms: 'r', buddies: 'a' });
    await server.arriveAt('im-2', '42', { client: 'phone', rooms: 's', buddies: 'b' });
    await server.arriveAt('im-2', '7', { rooms: 'r' });
    await one.show('dnd');
    const found = await wanted(
      () => lookup(server, '42'),
      ({ endpoint }) => endpoint?.rooms.total === 2 && endpoint.buddies.total === 2 && endpoint.show === 'dnd',
    );
    t.match(found, { kind: 'endpoint', node: null, nodes: ['im-1', 'im-2'], notCounted: [], members: null });
    t.match(found.endpoint, { online: true, nick: '42', visible: true });
    const clients = found.endpoint?.clients ?? [];
    t.match(clients, [
      { name: 'tab', node: 'im-1', transport: 'websocket' },
      { name: 'phone', node: 'im-2', transport: 'websocket' },
    ]);
    for (const { node, via } of clients)
      t.ok(via === null || via !== node, 'a client shows the node of its connection where that is another one');
    t.strictSame([...(found.endpoint?.rooms.ids ?? [])].sort(), ['r', 's']);
    t.strictSame([...(found.endpoint?.buddies.ids ?? [])].sort(), ['a', 'b']);
    t.match(await lookup(server, '7'), { nodes: ['im-2'], endpoint: { clients: [{ node: 'im-2' }] } });
    const room = await lookup(server, 'gid:r');
    t.match(room, { kind: 'room', endpoint: null, members: { total: 2 } });
    t.strictSame([...(room.members?.ids ?? [])].sort(), ['42', '7']);
    t.match(await lookup(server, 'nobody'), { nodes: [], endpoint: null, members: null });
    for (const query of ['', 'domain=nowhere&id=1', `domain=${siteA.domain}&id=a/b`]) {
      t.match(await askAdmin(server, `/api/endpoint?${query}`), { status: 400, body: { message: / / } }, query);
    }
  });

  await t.test('errors of all workers are one list, the latest first', async (t) => {
    const nodes = new Set<string | undefined>();
    let lost = 0;
    await until('errors of both workers', async () => {
      await server.site().push('9', 'away', 'lost');
      lost += 1;
      for (const { node } of (await lookup(server, 'away')).errors) nodes.add(node);
      return nodes.size >= 2;
    });
    await server.site().post('/v5/presences/online', { name: '1' });
    const { errors } = await read<{ errors: { reason: string; count: number; endpoints: string[] }[] }>(
      server,
      '/api/errors',
    );
    t.match(errors, [{ reason: 'badRequest' }, { reason: 'offline', count: lost }]);
    t.strictSame(errors[1]?.endpoints, [`/domain/${siteA.domain}/uid/away`]);
    const found = await lookup(server, 'away');
    t.strictSame(new Set(found.errors.map(({ node }) => node)), new Set(['im-1', 'im-2']));
    t.equal(
      found.errors.reduce((sum, { count }) => sum + count, 0),
      lost,
    );
  });
});

t.test('a worker that hangs is left out of what is shown, and named', { skip }, async (t) => {
  const server = await workersServer(t, ['--set', 'cluster.leaseMs=2000']);
  await server.arriveAt('im-1', 'one', { rooms: 'r' });
  await server.arriveAt('im-2', 'one', { rooms: 'r' });
  await server.arriveAt('im-2', 'two', { rooms: 'r' });
  const stats = () => read<{ node: ServerView }>(server, '/api/stats');
  const victim = await processOf(server, 'im-2');
  t.ok(workersOf(server.process).includes(victim));
  process.kill(victim, 'SIGSTOP');
  try {
    const silent = await wanted(stats, ({ node }) => node.workers[1]?.state === 'silent');
    t.match(silent, { node: { ready: false }, notCounted: ['im-2'] });
    t.match(await lookup(server, 'one'), { notCounted: ['im-2'], endpoint: { clients: [{ node: 'im-1' }] } });
    const { rooms, notCounted } = await wanted(
      () => read<Rooms>(server, '/api/rooms'),
      ({ rooms }) => rooms[0]?.members === 1,
    );
    t.match([rooms.length, notCounted], [1, ['im-2']]);
    const { domains } = await read<DomainPage>(server, '/api/domains');
    t.match(domains, [{ endpoints: 1 }], 'an endpoint with a part on the hung worker still counts');
    t.match(silent.node.cluster?.nodes[1], { name: 'im-2', worker: true });
  } finally {
    process.kill(victim, 'SIGCONT');
  }
  const back = await wanted(stats, ({ node }) => node.ready);
  t.strictSame(back.notCounted, []);
});
