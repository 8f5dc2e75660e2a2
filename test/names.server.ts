/** How the names of sites are looked up for webhooks: src/protocols/names.ts. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type Clock, systemClock } from '../src/clock.js';
import { LOOKUP_MS, Names } from '../src/protocols/names.js';
import { type PostResult, post } from '../src/protocols/post.js';
import { ManualClock } from './mqtt/support/clock.js';
import { NameServer } from './support/name-server.js';
import { turnsUntil } from './support/until.js';
import { WebhookServer } from './support/webhook.js';

const NOWHERE = { hosts: '/nowhere/hosts', resolvConf: '/nowhere/resolv.conf' };

function find(
  names: Names,
  name: string,
  domain = 'a.example',
  clock: Clock = systemClock,
): Promise<string[] | string> {
  return new Promise((resolve) => {
    names.find(domain, name, clock, (error, addresses) => {
      resolve(error ? error.message : addresses.map(({ address }) => address));
    });
  });
}

t.test('a name has the addresses of both kinds, those of IPv4 first; one that is not known has none', async (t) => {
  const server = await NameServer.start(t, {
    'both.example': ['2001:4860:0:0:0:0:0:1', '1.2.3.4', '1.2.3.5'],
    'six.example': ['2001:4860:0:0:0:0:0:1'],
    'none.example': [],
  });
  const names = new Names({ ...NOWHERE, servers: [server.address] });
  t.strictSame(await find(names, 'both.example'), ['1.2.3.4', '1.2.3.5', '2001:4860::1']);
  t.strictSame(await find(names, 'six.example'), ['2001:4860::1']);
  t.match(await find(names, 'none.example'), /ENODATA/);
  t.match(await find(names, 'other.example'), /ENOTFOUND/);
  t.strictSame(await find(names, 'localhost'), ['127.0.0.1', '::1']);
  t.strictSame([names.running, names.waiting], [0, 0]);
});

t.test('/etc/hosts counts first, as it is now, and search domains are tried as resolv.conf has them', async (t) => {
  const server = await NameServer.start(t, {
    'hook.svc.cluster': ['1.1.1.1'],
    'a.b': ['2.2.2.2'],
    'web.other': ['3.3.3.3'],
  });
  const folder = t.testdir({
    hosts: '# none\n10.0.0.7 Hook.Example other # and\n::1 hook.example\nnonsense x\n',
    'resolv.conf': 'nameserver 127.0.0.1\nsearch svc.cluster other.\noptions timeout:1 ndots:2\n',
  });
  const hosts = join(folder, 'hosts');
  const names = new Names({ hosts, resolvConf: join(folder, 'resolv.conf'), servers: [server.address] });
  t.strictSame(await find(names, 'hook.example.'), ['10.0.0.7', '::1']);
  t.strictSame(server.asked, [], 'no name server is asked');
  t.strictSame(await find(names, 'hook'), ['1.1.1.1']);
  t.strictSame(await find(names, 'web'), ['3.3.3.3']);
  t.strictSame(await find(names, 'a.b'), ['2.2.2.2'], 'at last as it is');
  t.match(await find(names, 'hook.'), /ENOTFOUND/, 'a name with a dot behind it is whole');
  await writeFile(hosts, '10.0.0.8 hook.example');
  t.strictSame(await find(names, 'hook.example'), ['10.0.0.8']);
});

t.test('name servers that are silent hold up no file and no other name, and take none of the threads', async (t) => {
  const silent = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`slow${i}.example`, null]));
  const server = await NameServer.start(t, { ...silent, 'good.example': ['1.2.3.4'] });
  const names = new Names({ ...NOWHERE, servers: [server.address] });
  const clock = new ManualClock();
  const slow = Object.keys(silent).map((name, i) => find(names, name, `d${i % 20}.example`, clock));
  await server.hasAsked((asked) => new Set(asked).size >= 80);
  t.notOk(process.getActiveResourcesInfo().includes('GetAddrInfoReqWrap'));
  t.match(await readFile(import.meta.filename, 'utf8'), /a file/);
  t.strictSame(await find(names, 'good.example', 'd1.example'), ['1.2.3.4']);
  clock.advance(LOOKUP_MS);
  for (const answer of await Promise.all(slow)) t.match(answer, /no name server answered/);
  await turnsUntil('the end of every search', () => names.running === 0);
  t.equal(names.waiting, 0);
});

t.test('the names of one domain are looked up four at a time, and those of others do not wait for them', async (t) => {
  const silent = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`slow${i}.example`, null]));
  const server = await NameServer.start(t, { ...silent, 'good.example': ['1.2.3.4'] });
  const names = new Names({ ...NOWHERE, servers: [server.address] });
  const clock = new ManualClock();
  const slow = Object.keys(silent).map((name) => find(names, name, 'a.example', clock));
  const behind = find(names, 'good.example', 'a.example', clock);
  t.strictSame([names.running, names.waiting], [4, 6]);
  t.strictSame(await find(names, 'good.example', 'b.example', clock), ['1.2.3.4']);
  clock.advance(LOOKUP_MS);
  for (const answer of await Promise.all([...slow, behind]))
    t.match(answer, /no name server answered/, 'also what waited');
  await turnsUntil('the end of every search', () => names.running === 0);
  t.equal(names.waiting, 0);
});

t.test('every address that a name has at the time of the call is looked at: inside it is not called', async (t) => {
  const hook = await WebhookServer.start(t);
  const { port } = new URL(hook.url);
  const server = await NameServer.start(t, { 'inside.example': ['10.0.0.1', '127.0.0.1', '0:0:0:0:0:0:0:1'] });
  const names = new Names({ ...NOWHERE, servers: [server.address] });
  const call = (mayLeadInside: boolean): Promise<PostResult> =>
    new Promise((resolve) => {
      const url = `http://inside.example:${port}/hook`;
      post({ domain: 'a.example', url, headers: {}, body: '{}', mayLeadInside, clock: systemClock, names }, resolve);
    });
  t.match(await call(false), { why: /leads inside/ });
  t.equal(hook.calls.length, 0);
});
