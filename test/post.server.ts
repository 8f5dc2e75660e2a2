/** What a webhook reaches: PROTOCOL.md section 17. */
import t from 'tap';
import { systemClock } from '../src/clock.js';
import { type PostResult, post } from '../src/protocols/post.js';
import { WebhookServer } from './support/webhook.js';

function send(url: string, mayLeadInside: boolean): Promise<PostResult> {
  return new Promise((resolve) => {
    post({ domain: 'a.example', url, headers: {}, body: '{}', mayLeadInside, clock: systemClock }, resolve);
  });
}

t.test('an address inside is not called, literal or by a name that resolves to it', async (t) => {
  const hook = await WebhookServer.start(t);
  const { port } = new URL(hook.url);
  const hosts = ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0.0.0.0'];
  for (const host of hosts) {
    const result = await send(`http://${host}:${port}/hook`, false);
    t.match(result, { why: /leads inside/ }, host);
  }
  t.match(await send(`https://localhost:${port}/hook`, false), { why: /leads inside/ }, 'also over TLS');
  t.equal(hook.calls.length, 0);
  t.strictSame(await send(`http://localhost:${port}/hook`, true), { status: 200 });
  t.equal(hook.calls.length, 1);
});

t.test('a redirect is not followed', async (t) => {
  const hook = await WebhookServer.start(t, () => 302);
  t.strictSame(await send(hook.url, true), { status: 302 });
  t.equal(hook.calls.length, 1);
});

t.test('a site that is not there is told by its error', async (t) => {
  t.match(await send('http://127.0.0.1:1/', true), { why: /ECONNREFUSED/ });
});
