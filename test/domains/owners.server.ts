import t from 'tap';
import { FORWARDED } from '../../src/admin/domains.js';
import { TEST_EVENT } from '../../src/admin/webhooks.js';
import type { Answer } from '../support/http.js';
import { siteA, siteB, testServer } from '../support/server.js';
import { Admin } from './support.js';

const ADMIN = 'token of the operator';
const OWNER = 'token of an owner';
const tokens = [ADMIN, { token: OWNER, domains: ['own.store', siteA.domain] }];

t.test('an owner sees and changes what the table says, and nothing of other domains', async (t) => {
  const server = await testServer(t, { admin: { port: -1, token: tokens }, data: t.testdir() });
  const admin = new Admin(server, ADMIN);
  const owner = new Admin(server, OWNER);
  await admin.make('own.store', { limits: { messageBytes: 100 } });
  const { fingerprint } = await admin.make('other.store', { webhook: 'https://other.store/secret-path' });
  await server.site(siteA).arrive('1', { rooms: 'r' });
  await server.site(siteB).arrive('1', { rooms: 'secret-room' });
  await server.site(siteB).push('1', 'nobody', 'hi');
  const table: readonly (readonly [string, string, unknown, number])[] = [
    ['GET', '/api/domains/own.store', undefined, 200],
    ['PATCH', '/api/domains/own.store', { origins: ['https://own.store'] }, 200],
    ['PATCH', '/api/domains/own.store', { webhook: 'https://own.store/hook' }, 200],
    ['PATCH', '/api/domains/own.store', { services: { help: { delivery: 'turns' } } }, 200],
    ['PATCH', '/api/domains/own.store', { limits: { messageBytes: 1 } }, 403],
    ['PATCH', '/api/domains/own.store', { offline: true }, 403],
    ['PUT', '/api/domains/own.store', {}, 403],
    ['DELETE', '/api/domains/own.store', undefined, 403],
    ['POST', '/api/domains/own.store/keys', undefined, 201],
    ['PATCH', `/api/domains/${siteA.domain}`, { origins: [] }, 409],
    ['GET', '/api/domains/other.store', undefined, 404],
    ['PATCH', '/api/domains/other.store', { origins: [] }, 404],
    ['PUT', '/api/domains/other.store', {}, 404],
    ['PUT', '/api/domains/new.store', {}, 404],
    ['DELETE', '/api/domains/other.store', undefined, 404],
    ['POST', '/api/domains/other.store/keys', undefined, 404],
    ['DELETE', `/api/domains/other.store/keys/${fingerprint}`, undefined, 404],
    ['GET', `/api/endpoint?domain=${siteA.domain}&id=1`, undefined, 200],
    ['GET', `/api/endpoint?domain=${siteB.domain}&id=1`, undefined, 400],
    ['POST', `/api/trace?domain=${siteB.domain}&id=1`, undefined, 400],
    ['GET', '/api/stats', undefined, 200],
    ['GET', '/metrics', undefined, 200],
    ['GET', '/api/errors', undefined, 200],
    ['GET', '/api/rooms', undefined, 200],
    ['GET', `/api/rooms?domain=${siteB.domain}`, undefined, 200],
    ['GET', '/api/audit', undefined, 200],
    ['GET', `/api/audit?domain=other.store`, undefined, 200],
    ['GET', '/api/domains', undefined, 200],
    ['GET', '/api/domains?search=b.example', undefined, 200],
    ['POST', '/api/reload', undefined, 403],
  ];
  const foreign = ['b.example', 'other.store', 'secret-room', 'secret-path', fingerprint];
  for (const [method, path, body, status] of table) {
    const answer: Answer = await owner.ask(method, path, body);
    t.equal(answer.status, status, `${method} ${path} ${answer.text.slice(0, 200)}`);
    for (const word of foreign) t.notOk(answer.text.includes(word), `${method} ${path} shows nothing of ${word}`);
  }
  t.strictSame(await owner.names(), [siteA.domain, 'own.store']);
  t.match((await owner.get('own.store')).body, { limits: { messageBytes: 100 }, keys: { length: 2 } });
});

t.test('every path of a domain is as if there were none for an owner of others, and opens for its own', async (t) => {
  const server = await testServer(t, { admin: { port: -1, token: tokens }, data: t.testdir() });
  const admin = new Admin(server, ADMIN);
  const owner = new Admin(server, OWNER);
  await admin.make('own.store');
  const { fingerprint } = await admin.make('other.store', { webhook: 'https://other.store/secret-path' });
  const routes = [...FORWARDED, 'GET /api/domains/{domain}/state', TEST_EVENT];
  for (const route of routes.filter((one) => one.includes('{domain}'))) {
    const [method = '', path = ''] = route.replace('{fingerprint}', fingerprint).split(' ');
    const body = method === 'GET' ? undefined : { id: '1' };
    const foreign = await owner.ask(method, path.replace('{domain}', 'other.store'), body);
    t.equal(foreign.status, 404, route);
    const missing = await owner.ask(method, path.replace('{domain}', 'no.store'), body);
    t.equal(foreign.text, missing.text, `${route} does not tell that the domain is there`);
    if (method === 'GET') t.equal((await owner.ask(method, path.replace('{domain}', 'own.store'))).status, 200, route);
  }
  t.strictSame((await admin.ask('GET', '/api/domains/other.store/ban')).body, { bans: [] });
  t.match((await admin.get('other.store')).body, {
    keys: [{ fingerprint }],
    webhook: 'https://other.store/secret-path',
  });
  t.match((await admin.ask('GET', '/api/webhooks')).body, { total: 0 });
});

t.test('a trace of another domain is not shown to an owner, who does not end it either', async (t) => {
  const server = await testServer(t, { admin: { port: -1, token: tokens } });
  const admin = new Admin(server, ADMIN);
  const owner = new Admin(server, OWNER);
  const traced = { trace: { domain: siteB.domain, active: true } };
  t.match((await admin.ask('POST', `/api/trace?domain=${siteB.domain}&id=1`)).body, traced);
  t.strictSame((await owner.ask('GET', '/api/trace')).body, { trace: null });
  t.equal((await owner.ask('POST', `/api/trace?domain=${siteA.domain}&id=1`)).status, 400);
  t.strictSame((await owner.ask('DELETE', '/api/trace')).body, { trace: null });
  t.match((await admin.ask('GET', '/api/trace')).body, traced);
});

t.test('a token that a reload takes away opens nothing, and one that it brings does', async (t) => {
  const server = await testServer(t, { admin: { port: -1, token: tokens } });
  server.reload({ admin: { port: -1, token: [ADMIN, { token: 'another owner', domains: [siteB.domain] }] } });
  t.equal((await new Admin(server, OWNER).ask('GET', '/api/domains')).status, 401);
  t.strictSame(await new Admin(server, 'another owner').names(), [siteB.domain]);
});
