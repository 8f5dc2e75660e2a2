/** TLS as an operator sees it: HTTPS, secure WebSockets and MQTT over TLS, and certificates that change under them. */
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import mqtt from 'mqtt';
import t from 'tap';
import { WebSocket } from 'ws';
import { nextalk } from './support/process.js';
import { first, type Pair, renewed, replaceFiles, tlsFiles } from './support/tls.js';

interface Cleaner {
  teardown(fn: () => unknown): void;
}

const ca = [first.cert, renewed.cert];
const key = 'a-key-of-more-than-sixteen-characters';

async function started(t: Cleaner, files: Pair) {
  const flags = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0', '--domain', `a:${key}`];
  const tls = ['--set', 'mqtt.tlsPort=-1', '--set', `tls.cert=${files.cert}`, '--set', `tls.key=${files.key}`];
  const server = nextalk(t, [...flags, ...tls]);
  const { url, mqtts } = await server.event('started');
  return { server, url: String(url), mqtts: String(mqtts) };
}

/** The certificate that a new connection is shown; the connection is checked against both. */
async function shown(url: string): Promise<PeerCertificate['subject']['CN']> {
  const { hostname: host, port } = new URL(url);
  const socket = connect({ host, port: Number(port), ca });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN;
}

async function call(
  url: string,
  agent: Agent,
  form?: Record<string, string>,
): Promise<{ status: number; body: string; socket: TLSSocket }> {
  const body = form && new URLSearchParams(form).toString();
  const sending = request(url, { agent, ca, auth: `a:${key}`, method: body === undefined ? 'GET' : 'POST' });
  sending.end(body);
  const [response] = await once(sending, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, body: text, socket: response.socket };
}

/** A socket that has subscribed; `next` is its next text. */
async function subscribed(t: Cleaner, url: string, ticket: string) {
  const socket = new WebSocket(`${url.replace('https', 'wss')}/v5/wsocket`, { ca });
  t.teardown(() => socket.terminate());
  const next = async () => String((await once(socket, 'message'))[0]);
  await once(socket, 'open');
  socket.send(`subscribe a ${ticket}`);
  await next();
  return { socket, next };
}

t.test('TLS carries REST, long polls, WebSockets and MQTT, from version 1.2 on', async (t) => {
  const { url, mqtts } = await started(t, tlsFiles(t));
  t.match(url, /^https:/);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const online = JSON.parse((await call(`${url}/v5/presences/online`, agent, { name: '1', nick: 'One' })).body);
  t.match(online, { jsonp: `${url}/v5/packets`, websocket: `${url.replace('https', 'wss')}/v5/wsocket`, mqtt: mqtts });
  const poll = call(`${url}/v5/packets?domain=a&ticket=${encodeURIComponent(online.ticket)}`, new Agent());
  await call(`${url}/v5/messages`, agent, { from: '2', to: '1', body: 'by poll' });
  t.match((await poll).body, /by poll/);
  const { next } = await subscribed(t, url, online.ticket);
  const frame = next();
  await call(`${url}/v5/messages`, agent, { from: '2', to: '1', body: 'by socket' });
  t.match(await frame, /by socket/);
  for (const address of [mqtts, `${url.replace('https', 'wss')}/mqtt`]) {
    const site = await mqtt.connectAsync(address, { ca, username: 'a', password: key, reconnectPeriod: 0 });
    await site.publishAsync('t', 'x'.repeat(100_000), { qos: 1 });
    await site.endAsync();
  }
  for (const address of [url, mqtts]) {
    const { hostname: host, port } = new URL(address);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await t.rejects(
      once(connect({ host, port: Number(port), ca, ...old }), 'secureConnect'),
      `${address} with TLS 1.1`,
    );
  }
});

t.test('SIGHUP changes the certificate and drops nobody', async (t) => {
  const files = tlsFiles(t);
  const { server, url, mqtts } = await started(t, files);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const answer = await call(`${url}/v5/presences/online`, agent, { name: '1', nick: 'One' });
  const { socket, next } = await subscribed(t, url, JSON.parse(answer.body).ticket);
  const site = await mqtt.connectAsync(mqtts, { ca, username: 'a', password: key, reconnectPeriod: 0 });
  t.teardown(() => site.endAsync(true));
  t.strictSame([await shown(url), await shown(mqtts)], ['localhost', 'localhost']);

  replaceFiles(files, renewed);
  server.kill('SIGHUP');
  t.match(await server.event('certificate-replaced'), { names: /localhost/ });
  t.strictSame([await shown(url), await shown(mqtts)], ['renewed', 'renewed']);
  const frame = next();
  const kept = await call(`${url}/v5/messages`, agent, { from: '2', to: '1', body: 'still here' });
  t.equal(kept.socket, answer.socket, 'on the connection from before');
  t.match(await frame, /still here/);
  await site.publishAsync('t', 'still here', { qos: 1 });

  replaceFiles(files, { cert: first.cert, key: renewed.key });
  server.kill('SIGHUP');
  t.match(await server.event('certificate-refused'), { level: 'error', problem: /is not the key/ });
  t.strictSame([await shown(url), await shown(mqtts)], ['renewed', 'renewed']);

  replaceFiles(files, first);
  server.kill('SIGHUP');
  await server.event('certificate-replaced');
  t.strictSame([await shown(url), await shown(mqtts)], ['localhost', 'localhost']);
  t.equal(socket.readyState, WebSocket.OPEN);
  t.equal((await call(`${url}/v5/presences?ids=1`, agent)).body, '{"1":"available"}');
  server.kill('SIGTERM');
  t.equal(await server.ended, 0);
  t.notMatch(server.out, /PRIVATE KEY/);
});

t.test('check and start agree on a certificate that cannot be served: a wrong configuration', async (t) => {
  const other = tlsFiles(t, { cert: first.cert, key: renewed.key });
  for (const [files, problem] of [
    [other, /^nextalk: tls\.key: .* is not the key of the certificate in .*\n$/],
    [{ ...other, cert: '/nowhere.pem' }, /^nextalk: tls\.cert: \/nowhere\.pem cannot be read \(ENOENT\)\n$/],
  ] as const) {
    const flags = ['--port', '0', '--set', `tls.cert=${files.cert}`, '--set', `tls.key=${files.key}`];
    const both = [nextalk(t, flags), nextalk(t, ['check', ...flags])];
    for (const asked of both) {
      t.equal(await asked.ended, 2);
      t.match(asked.err, problem);
      t.equal(asked.out, '');
    }
  }
  const files = tlsFiles(t);
  const good = nextalk(t, ['check', '--set', `tls.cert=${files.cert}`, '--set', `tls.key=${files.key}`]);
  t.equal(await good.ended, 0);
});
