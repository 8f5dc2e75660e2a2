/** Which addresses a webhook must not reach. */
import t from 'tap';
import { isInside, leadsInside } from '../src/inside.js';

const INSIDE = [
  ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.255.254'],
  ...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.8', '192.0.2.1', '192.88.99.1', '192.168.1.1'],
  ...[
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.1.1.1',
    '240.0.0.1',
    '255.255.255.255',
  ],
  ...[
    '::',
    '::1',
    '::2',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:10.0.0.1',
    '::ffff:169.254.169.254',
  ],
  ...[
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '100::1',
    '2001:db8::1',
    '2001::1',
    '3fff::1',
  ],
  ...[
    '64:ff9b::127.0.0.1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::1',
    '2002:c0a8:101::',
    '4000::1',
    '5f00::1',
  ],
  ...['', 'nonsense', '1.2.3', '01.2.3.4', '1.2.3.4.5'],
];
const OUTSIDE = [
  ...[
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.0.1.1',
    '193.0.0.1',
    '223.255.255.255',
  ],
  ...['2606:4700::1111', '2a00::1', '2001:4860:4860::8888', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1'],
];

t.test('every address inside is known, in whatever notation', async (t) => {
  for (const address of INSIDE) t.ok(isInside(address), address);
});

t.test('addresses outside are not taken for inside', async (t) => {
  for (const address of OUTSIDE) t.notOk(isInside(address), address);
});

t.test('a URL with an address inside is known however the address is spelled', async (t) => {
  const spelled = [
    'http://127.0.0.1/x',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.1:8080/',
  ];
  const more = ['http://[::1]/', 'http://[::ffff:127.0.0.1]/', 'http://[fe80::1]/', 'https://10.1.2.3/', 'http://0/'];
  const named = ['http://localhost:3000/hook', 'http://LOCALHOST/', 'http://api.localhost/', 'http://localhost./'];
  for (const url of [...spelled, ...more, ...named]) t.ok(leadsInside(url), url);
  for (const url of [
    'https://example.com/',
    'http://8.8.8.8/',
    'http://localhost.example.com/',
    'https://[2a00::1]/',
  ]) {
    t.notOk(leadsInside(url), url);
  }
});
