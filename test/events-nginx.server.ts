/** Server-sent events through a real nginx, whether it gathers answers or not: PROTOCOL.md section 13. */
import t from 'tap';
import { ManualClock } from './mqtt/support/clock.js';
import { CountingStream } from './support/counting.js';
import { skipWithoutNginx, startNginx } from './support/nginx.js';
import { freePort } from './support/ports.js';
import { siteA, testServer } from './support/server.js';

const MINUTE = 60_000;

const buffering = {
  'as nginx is without a word': '',
  'with buffering on': 'proxy_buffering on;',
  'with buffering off': 'proxy_buffering off;',
};

for (const [title, words] of Object.entries(buffering)) {
  t.test(`events come at once through nginx, ${title}`, { skip: skipWithoutNginx }, async (t) => {
    const clock = new ManualClock();
    const server = await testServer(t, {}, clock);
    const port = await freePort();
    await startNginx(
      t,
      `server { listen 127.0.0.1:${port}; location / { proxy_pass http://${server.host}; proxy_http_version 1.1; ${words} } }`,
    );
    const { ticket } = await server.site().online('jack');
    const stream = server.own(new CountingStream(port, ticket));
    await stream.connect();
    for (const body of ['one', 'two']) {
      await server.site().push('anna', 'jack', body);
      await stream.has(body === 'one' ? 1 : 2);
    }
    clock.advance(15_000);
    await stream.until(() => stream.events.includes('ping'), 'ping');
    t.strictSame([stream.bodies, stream.opened], [['one', 'two'], 1]);
    await server.site().offline(ticket);
    await stream.until(() => stream.events.includes('stopped'), 'event');
  });
}

t.test(
  'an nginx that gathers answers, whatever they ask for, keeps events back for five minutes, and loses none',
  { skip: skipWithoutNginx },
  async (t) => {
    const clock = new ManualClock();
    const server = await testServer(t, {}, clock);
    const port = await freePort();
    const location = `proxy_pass http://${server.host}; proxy_http_version 1.1; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;`;
    await startNginx(t, `server { listen 127.0.0.1:${port}; location / { ${location} } }`);
    const { ticket } = await server.site().online('jack');
    const queued = () => server.metrics.domain(siteA.domain).queuedPackets;
    const stream = server.own(new CountingStream(port, ticket));
    await stream.connect();
    for (const body of ['one', 'two', 'three']) await server.site().push('anna', 'jack', body);
    await server.settled();
    clock.advance(5 * MINUTE);
    await stream.has(3);
    t.strictSame(stream.bodies, ['one', 'two', 'three']);
    await server.settledWhile(() => queued() > 0 || stream.opened < 2);
    t.strictSame(
      [stream.opened, stream.missed, stream.lost],
      [2, 0, 0],
      'the browser has come again, and so confirmed',
    );
  },
);
