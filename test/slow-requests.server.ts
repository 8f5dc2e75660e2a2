/**
 * Slow and half-open connections, in real time: a client that feeds its request byte by byte holds its connection no longer
 * than one that says nothing. uWebSockets.js ends them after 12 s (20.30) or 32 s (20.57); this file takes as long.
 */
import net from 'node:net';
import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { upgradeHeaders } from './support/hostile.js';
import { basic } from './support/http.js';
import { RawSocket, requestText } from './support/raw.js';
import { siteA, testServer } from './support/server.js';
import { tlsFiles } from './support/tls.js';
import { WebSocketClient } from './support/websocket.js';

const BOUND_MS = 300_000;
const DRIP_MS = 500;

const post = (length: number) =>
  `POST /v5/messages HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(siteA.domain, siteA.apikey)}\r\nContent-Length: ${length}\r\n\r\n`;

/** Each kind of slow client: `first` is sent at once, `drip` again and again. */
const http: readonly (readonly [title: string, first: string, drip: string])[] = [
  ['says nothing', '', ''],
  ['begins a request', 'GET /v5/pres', ''],
  ['sends a header byte by byte', 'GET / HTTP/1.1\r\nHost: x\r\nX-A: ', 'a'],
  ['sends headers one by one', 'GET / HTTP/1.1\r\nHost: x\r\n', 'X: y\r\n'],
  ['begins a body', `${post(1000)}from=1`, ''],
  ['sends a body byte by byte', post(1000), 'a'],
  ['keeps a connection that is done', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', ''],
];
const handshakes: typeof http = [
  ['begins no handshake', '', ''],
  ['begins a handshake', '\x16\x03\x01\x02\x00', ''],
  ['shakes hands byte by byte', '\x16\x03\x01\x02\x00', '\x01'],
];

/** Resolves when the server has closed the connection; rejects where it has not within `BOUND_MS`. */
function closed(port: number, first: string, drip: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      if (first !== '') socket.write(Buffer.from(first, 'latin1'));
    });
    const dripping = setInterval(() => drip && socket.write(Buffer.from(drip, 'latin1')), DRIP_MS);
    const late = setTimeout(() => socket.destroy(new Error('still open')), BOUND_MS);
    let problem: Error | null = null;
    socket.on('data', () => undefined);
    socket.on('error', (error) => {
      if (error.message === 'still open') problem = error;
    });
    socket.on('close', () => {
      clearInterval(dripping);
      clearTimeout(late);
      if (problem) reject(problem);
      else resolve();
    });
  });
}

t.test('a connection that never finishes what it began is ended, over TCP and TLS', { timeout: 400_000 }, async (t) => {
  const plain = await testServer(t);
  const secure = await testServer(t, { tls: tlsFiles(t), mqtt: { tlsPort: -1 } });
  const ports = [
    ...http.map((one) => [plain.port, one] as const),
    ...handshakes.map((one) => [secure.port, one] as const),
    ...handshakes.map((one) => [secure.mqttTlsPort, one] as const),
  ];
  const ended = ports.map(async ([port, [title, first, drip]]) => {
    await t.resolves(closed(port, first, drip), `who ${title} on ${port}`);
  });
  await Promise.all(ended);
  t.ok(secure.metrics.refused.handshakeFailed >= 2);
});

t.test(
  'a WebSocket that answers no pings is gone after silenceMs and was pinged three times, also one of MQTT',
  async (t) => {
    const clock = new ManualClock();
    const socket = { pingMs: 30_000, silenceMs: 20_000 };
    const server = await testServer(t, { socket, mqtt: { anonymousDomain: siteA.domain } }, clock);
    const site = server.site();
    const answering = await WebSocketClient.connect(server, (await site.online('1')).ticket);
    const dead = await RawSocket.open(server);
    dead.write(requestText('GET /v5/wsocket', upgradeHeaders));
    t.equal((await dead.answer()).status, 101);
    // A text frame whose mask is zeros.
    const subscribe = Buffer.from(`subscribe ${siteA.domain} ${(await site.online('2')).ticket}`);
    dead.write(Buffer.concat([Buffer.from([0x81, 0x80 | subscribe.length, 0, 0, 0, 0]), subscribe]));
    const mqtt = await RawSocket.open(server);
    mqtt.write(requestText('GET /mqtt', [...upgradeHeaders, 'Sec-WebSocket-Protocol: mqtt']));
    t.equal((await mqtt.answer()).status, 101);
    // A CONNECT of MQTT without a keep alive.
    mqtt.write(Buffer.from('828f00000000100d00044d51545404020000000161', 'hex'));
    await server.settledWhile(() => server.metrics.connections.websocket < 2 || !mqtt.received.includes('\x20\x02'));
    await server.settledWhile(() => !dead.received.includes('"status":"ok"'));
    for (let n = 0; n < 4; n++) {
      t.equal(server.metrics.connections.websocket, 2, `after ${n} pings everybody is there`);
      clock.advance(5000);
      if (n === 3) break;
      // The server has seen the pong, which came before this ping on the same connection.
      answering.send('ping');
      t.equal(await answering.text(), 'pong');
    }
    await Promise.all([dead.closed, mqtt.closed]);
    for (const { received } of [dead, mqtt]) t.ok(received.split('\x89\x00').length > 3, 'it was pinged three times');
    await server.settledWhile(() => server.metrics.connections.websocket > 1);
    t.equal(server.metrics.connections.mqttws, 0);
    t.equal(answering.socket.readyState, answering.socket.OPEN, 'who answers stays');
  },
);
