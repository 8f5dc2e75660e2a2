import t from 'tap';
import { exchange } from '../support/http.js';
import { skipWithout } from '../support/programs.js';
import { siteA } from '../support/server.js';
import { workersServer } from '../workers/support/server.js';
import { Admin, type Made } from './support.js';

const skip = skipWithout('nats-server');
const flags = ['--set', 'admin.token=["operator",{"token":"owner","domains":["a.store"]}]'];

t.test(
  'a domain that is made at run time is served by every worker, and by one that is replaced',
  { skip },
  async (t) => {
    const server = await workersServer(t, flags);
    const admin = new Admin(server, 'operator');
    const made = await admin.make('a.store');
    const call = { path: '/v5/presences', query: { ids: '1' }, auth: { domain: 'a.store', apikey: made.apikey } };
    const statuses = async () => {
      const answers = await Promise.all(Array.from({ length: 12 }, () => exchange(server.port, call).answer));
      return [...new Set(answers.map(({ status }) => status))];
    };
    t.strictSame(await statuses(), [200]);
    t.strictSame(await admin.names(), [siteA.domain, 'a.store']);
    const owner = new Admin(server, 'owner');
    t.strictSame(await owner.names(), ['a.store']);
    t.equal((await owner.get(siteA.domain)).status, 404);
    t.equal((await owner.patch('a.store', { offline: true })).status, 403);
    t.equal((await owner.patch('a.store', { origins: ['https://a.store'] })).status, 200);
    for (const path of ['/metrics', '/api/stats', '/api/errors', '/api/rooms', '/api/audit']) {
      const answer = await owner.ask('GET', path);
      t.equal(answer.status, 200, path);
      t.notOk(answer.text.includes(siteA.domain), `${path} shows an owner no other domain`);
    }
    const csv = await owner.ask('GET', '/api/domains/a.store/usage?format=csv');
    t.match(csv, { headers: { 'content-type': 'text/csv; charset=utf-8' }, text: /^from,peakOnline,/ });
    const { fingerprint } = (await admin.addKey('a.store')).body as Made;
    t.equal((await admin.removeKey('a.store', made.fingerprint)).status, 200);
    t.strictSame(await statuses(), [401]);
    t.match((await admin.get('a.store')).body, { origins: ['https://a.store'], keys: [{ fingerprint }] });
    t.match((await admin.ask('GET', '/api/audit?domain=a.store')).body, { audit: { length: 4 } });
  },
);
