import t from 'tap';
import { clientAddress, forwarded, networkOf } from '../src/protocols/client-address.js';
import { ConnectionCounts } from '../src/protocols/connection-counts.js';
import { rawRequest, requestText } from './support/raw.js';
import { siteA, type TestServer, testServer } from './support/server.js';

const same: readonly (readonly [title: string, addresses: readonly string[]])[] = [
  [
    'an IPv4 address however it is written',
    [
      '127.0.0.1',
      '::ffff:127.0.0.1',
      '::FFFF:7f00:1',
      '0000:0000:0000:0000:0000:ffff:7f00:0001',
      '0:0:0:0:0:ffff:127.0.0.1',
    ],
  ],
  ['a /64 of IPv6', ['2001:db8:0:7::1', '2001:0DB8:0000:0007:ffff::', '2001:db8:0:7:1:2:3:4', '2001:db8::7:0:0:0:1']],
  ['a link with its zone', ['fe80::1%eth0', 'fe80::2']],
];

for (const [title, addresses] of same) {
  t.test(`${title} is one address`, async (t) => {
    t.equal(new Set(addresses.map(networkOf)).size, 1, addresses.map(networkOf).join(' '));
  });
}

t.test('different addresses count as different', async (t) => {
  const addresses = [
    '127.0.0.1',
    '127.0.0.2',
    '::1',
    '2001:db8:0:7::1',
    '2001:db8:0:8::1',
    '2001:db8:7::',
    'unknown',
    '',
  ];
  t.equal(new Set(addresses.map(networkOf)).size, addresses.length);
});

t.test('connections of an address are counted up to the limit, and forgotten when they end', async (t) => {
  const counts = new ConnectionCounts();
  t.strictSame(
    [counts.add('a', 2), counts.add('a', 2), counts.add('a', 2), counts.add('b', 2)],
    [true, true, false, true],
  );
  counts.remove('a');
  t.equal(counts.add('a', 2), true);
  t.equal(counts.add('a', 0), true, '0 is no limit');
  counts.remove('never seen');
});

const header = '6.6.6.6, 192.0.2.1, 10.0.0.1';

t.test('of X-Forwarded-For only what the trusted proxies added is believed', async (t) => {
  const cases: readonly (readonly [header: string, hops: number, address: string])[] = [
    [header, 0, '127.0.0.1'],
    [header, 1, '10.0.0.1'],
    [header, 2, '192.0.2.1'],
    ['192.0.2.1', 2, '192.0.2.1'],
    ['', 1, '127.0.0.1'],
    ['unknown', 1, '127.0.0.1'],
    ['192.0.2.1:5678', 1, '192.0.2.1'],
    ['[2001:db8::1]:5678', 1, '2001:db8:0:0::/64'],
    ['2001:db8::1', 1, '2001:db8:0:0::/64'],
    ['x, ', 1, '127.0.0.1'],
    [',192.0.2.1', 2, '127.0.0.1'],
    ['192.0.2.1,', 3, '192.0.2.1'],
    [`${'1'.repeat(100_000)}, 192.0.2.1`, 1, '192.0.2.1'],
    [`[${']'.repeat(100_000)}`, 1, '127.0.0.1'],
  ];
  for (const [given, hops, address] of cases) {
    t.equal(clientAddress('127.0.0.1', given, hops), address, `${given} over ${hops}`);
  }
  t.strictSame([forwarded('https', 2), forwarded('http, https', 1), forwarded('http', 0)], ['https', 'https', '']);
});

/** Logs in with a wrong key, from where these lines say. */
async function wrong(server: TestServer, lines: readonly string[], apikey = 'wrong'): Promise<number> {
  const key = Buffer.from(`${siteA.domain}:${apikey}`).toString('base64');
  const request = requestText('GET /v5/presences?ids=1', [`Authorization: Basic ${key}`, ...lines]);
  return (await rawRequest(server, request)).status;
}

t.test('a client that sends an X-Forwarded-For of its own does not choose its address', async (t) => {
  const server = await testServer(t, { trustProxy: true, lockout: { failures: 2 } });
  const [own, other] = ['192.0.2.1', '198.51.100.7'].map((address) => `X-Forwarded-For: ${address}`) as [
    string,
    string,
  ];
  for (const claim of ['1', '2', '3']) await wrong(server, [`X-Forwarded-For: 10.0.0.${claim}`, own]);
  t.equal(await wrong(server, ['X-Forwarded-For: 10.0.0.4', own]), 429, 'it is locked out whatever it claims');
  t.equal(await wrong(server, [own, other]), 401, 'nobody else is');
});

t.test('ONLINE names the scheme and host of the last line, which is the proxy’s', async (t) => {
  const server = await testServer(t, { trustProxy: true });
  const key = Buffer.from(`${siteA.domain}:${siteA.apikey}`).toString('base64');
  const lines = [
    'X-Forwarded-Proto: http',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Host: im.example',
  ];
  const request = requestText(
    'POST /v5/presences/online',
    [`Authorization: Basic ${key}`, ...lines],
    'name=1&nick=One',
  );
  t.match((await rawRequest(server, request)).text, /"websocket":"wss:\/\/im\.example\/v5\/wsocket"/);
});
