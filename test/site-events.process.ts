/** Events of a server that is killed: what was on disk is told by the next one. */
import t from 'tap';
import { exchange } from './support/http.js';
import { nextalk } from './support/process.js';
import { records } from './support/restarting.js';
import { type Cleaner, siteA } from './support/server.js';
import { until } from './support/until.js';
import { WebhookServer } from './support/webhook.js';

async function start(t: Cleaner, data: string, url: string) {
  const domains = JSON.stringify([{ ...siteA, webhookPrivate: true, events: { url, kinds: ['message'] } }]);
  const ports = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0'];
  const server = nextalk(t, [...ports, '--data', data, '--set', `domains=${domains}`]);
  const started = await server.event('started');
  return { server, port: Number(new URL(String(started.url)).port) };
}

t.test('killed with SIGKILL, a server loses no event that was on disk', async (t) => {
  const data = t.testdir();
  const first = await start(t, data, 'http://127.0.0.1:1/dead');
  const push = async (port: number, body: string): Promise<void> => {
    const form = { from: 'anna', to: 'jack', body };
    const { status } = await exchange(port, { method: 'POST', path: '/v5/messages', form, auth: siteA }).answer;
    t.equal(status, 200);
  };
  for (let n = 0; n < 50; n++) await push(first.port, String(n));
  await until('an event on disk', async () => (await records(data, 'webhooks')) > 0);
  first.server.kill('SIGKILL');
  await first.server.ended;
  const hook = await WebhookServer.start(t);
  const second = await start(t, data, hook.url);
  await push(second.port, 'the last');
  const bodies: string[] = [];
  while (bodies.at(-1) !== 'the last') {
    const { events } = (await hook.next()).body as { events: { packet: { body: string } }[] };
    bodies.push(...events.map(({ packet }) => packet.body));
  }
  const told = bodies.slice(0, -1).map(Number);
  t.strictSame(
    told,
    Array.from({ length: told.length }, (_, n) => n),
    'in order, from the first',
  );
  t.ok(told.length > 0, `${told.length} of 50`);
});
