/**
 * docs/operating.md: its commands answer what the page shows, and its proxy example, with a real nginx, lets long polls,
 * WebSockets and long requests through.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import t from 'tap';
import { WebSocket } from 'ws';
import { readBlocks } from './support/markdown.js';
import { freePort } from './support/ports.js';
import { childEnvironment } from './support/process.js';
import { program, skipWithout } from './support/programs.js';
import { reader } from './support/reader.js';
import { type Cleaner, siteA, testServer } from './support/server.js';
import { tlsFiles } from './support/tls.js';

const page = readFileSync(new URL('../docs/operating.md', import.meta.url), 'utf8');
const example = readBlocks(page).find(({ attributes }) => attributes.get('title') === 'nextalk.conf')?.text ?? '';
const host = 'im.example.com';
const authorization = `Basic ${Buffer.from(`${siteA.domain}:${siteA.apikey}`).toString('base64')}`;

/** The page's server block in a whole configuration, on a free port of loopback; answers the port. */
async function startNginx(t: Cleaner, folder: string, upstream: number): Promise<number> {
  const port = await freePort();
  const { cert, key } = tlsFiles(t);
  const block = example
    .replace('listen 443', `listen 127.0.0.1:${port}`)
    .replace('127.0.0.1:8080', `127.0.0.1:${upstream}`)
    .replace(/ssl_certificate +\S+;/, `ssl_certificate ${cert};`)
    .replace(/ssl_certificate_key +\S+;/, `ssl_certificate_key ${key};`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/t;`,
  );
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr notice;
     events { worker_connections 64; }
     http { access_log off; ${temporary.join(' ')} ${block} }`,
  );
  const nginx = spawn(program('nginx') ?? '', ['-p', folder, '-c', file], {
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(nginx, 'close');
  t.teardown(async () => {
    nginx.kill('SIGKILL');
    await ended;
  });
  let said = '';
  nginx.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  while (!said.includes('start worker') && !said.includes('epoll')) {
    await Promise.race([
      once(nginx.stderr, 'data'),
      ended.then(() => Promise.reject(new Error(`nginx ended: ${said}`))),
    ]);
  }
  return port;
}

/** One request through nginx; answers status and body. */
async function get(port: number, path: string, form?: Readonly<Record<string, string>>) {
  const request = https.request({
    host: '127.0.0.1',
    port,
    path,
    method: form ? 'POST' : 'GET',
    headers: { host, authorization, 'content-type': 'application/x-www-form-urlencoded' },
    rejectUnauthorized: false,
    agent: false,
  });
  request.end(form ? new URLSearchParams(form).toString() : undefined);
  const [response] = await once(request, 'response');
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  return { status: Number(response.statusCode), body };
}

t.test('docs/operating.md shows what its commands answer', { skip: skipWithout('curl') }, async (t) => {
  await (await reader(t, t.testdir({}))).follow(readBlocks(page));
});

t.test('the nginx example carries all that clients and sites do', { skip: skipWithout('nginx') }, async (t) => {
  const server = await testServer(t, { trustProxy: true });
  const port = await startNginx(t, t.testdir({}), server.port);
  const came = await get(port, '/v5/presences/online', { name: 'jack', nick: 'Jack', buddies: '', rooms: '' });
  t.equal(came.status, 200, came.body);
  const { ticket, websocket, jsonp } = JSON.parse(came.body);

  await t.test('ONLINE hands out the public address', async (t) => {
    t.strictSame({ websocket, jsonp }, { websocket: `wss://${host}/v5/wsocket`, jsonp: `https://${host}/v5/packets` });
  });

  await t.test('a long poll waits and is answered', async (t) => {
    const poll = get(port, `/v5/packets?domain=${siteA.domain}&ticket=${ticket}`);
    await get(port, '/v5/messages', { from: 'news', to: 'jack', body: 'by poll' });
    t.match((await poll).body, /"body":"by poll"/);
  });

  await t.test('a WebSocket opens and receives', async (t) => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/v5/wsocket`, {
      rejectUnauthorized: false,
      headers: { host },
    });
    t.teardown(() => socket.terminate());
    await once(socket, 'open');
    socket.send(`subscribe ${siteA.domain} ${ticket}`);
    const [subscribed] = await once(socket, 'message');
    t.equal(String(subscribed), '{"status":"ok"}');
    const received = once(socket, 'message');
    await get(port, '/v5/messages', { from: 'news', to: 'jack', body: 'by socket' });
    t.match(String((await received)[0]), /"body":"by socket"/);
  });

  await t.test('PRESENCES with a URL of 16 KiB, even when it comes in pieces', async (t) => {
    const ids = ['jack', ...Array.from({ length: 1600 }, (_, i) => `user${10_000 + i}`)].join(',');
    t.ok(ids.length > 16_000);
    t.strictSame(await get(port, `/v5/presences?ids=${ids}`), { status: 200, body: '{"jack":"available"}' });
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const request = `GET /v5/presences?ids=${ids} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: ${authorization}\r\nConnection: close\r\n\r\n`;
    for (let at = 0; at < request.length; at += 2000) {
      socket.write(request.slice(at, at + 2000));
      await pause(5);
    }
    let answer = '';
    for await (const chunk of socket.setEncoding('utf8')) answer += chunk;
    t.match(answer, /^HTTP\/1.1 200 [\s\S]*\{"jack":"available"\}/);
  });
});
