import { createHash } from 'node:crypto';
import t from 'tap';
import { siteA, testServer } from '../support/server.js';

t.test('the description is served to anybody, from every spelling of its path', async (t) => {
  const server = await testServer(t);
  for (const path of ['/v5/openapi.json', '/v4/openapi.json', '/v5/openapi.json/']) {
    const { status, headers, body } = await server.request({ path });
    t.equal(status, 200, path);
    t.equal(headers['content-type'], 'application/json; charset=utf-8');
    t.equal(headers['access-control-allow-origin'], '*');
    t.equal(headers['x-content-type-options'], 'nosniff');
    t.match(body, { openapi: /^3\.1/ });
  }
  for (const path of ['/v5/docs', '/v4/docs', '/v5/docs/', '/v5/docs?from=a']) {
    const { status, headers, text } = await server.request({ path });
    t.equal(status, 200, path);
    t.equal(headers['content-type'], 'text/html; charset=utf-8');
    t.match(text, /^<!doctype html>/);
  }
});

t.test('caches keep the description and ask again by its tag', async (t) => {
  const server = await testServer(t);
  for (const path of ['/v5/openapi.json', '/v5/docs']) {
    const { headers, text } = await server.request({ path });
    t.match(headers['cache-control'], /^public, max-age=\d+$/);
    const etag = String(headers.etag);
    t.match(etag, /^"[^"]{16,}"$/);
    const again = await server.request({ path, headers: { 'if-none-match': `"other", ${etag}` } });
    t.strictSame([again.status, again.text, again.headers.etag], [304, '', etag]);
    const changed = await server.request({ path, headers: { 'if-none-match': '"other"' } });
    t.strictSame([changed.status, changed.text], [200, text]);
    const head = await server.request({ method: 'HEAD', path });
    t.strictSame([head.status, head.text, head.headers.etag], [200, '', etag]);
    t.equal(head.headers['content-length'], headers['content-length']);
  }
});

t.test('other origins may read the description, other methods are answered 405, and paths beside it 404', async (t) => {
  const server = await testServer(t, { domains: [{ ...siteA, origins: ['https://a.example'] }] });
  for (const path of ['/v5/openapi.json', '/v5/docs']) {
    const headers = { origin: 'https://editor.example', 'access-control-request-method': 'GET' };
    const preflight = await server.request({ method: 'OPTIONS', path, headers });
    t.strictSame([preflight.status, preflight.headers['access-control-allow-origin']], [204, '*']);
    for (const method of ['POST', 'PUT', 'DELETE']) {
      const { status, headers, body } = await server.request({ method, path });
      t.strictSame([status, headers.allow], [405, 'GET, HEAD, OPTIONS'], `${method} ${path}`);
      t.strictSame(body, { status: 'error', message: 'method not allowed' });
    }
    t.equal((await server.request({ path: `${path}/more` })).status, 404);
    t.equal((await server.request({ path: path.replace('v5', 'v6') })).status, 404);
  }
});

t.test('the page may load nothing but its own style', async (t) => {
  const server = await testServer(t);
  const { headers, text } = await server.request({ path: '/v5/docs' });
  const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? '';
  const hash = createHash('sha256').update(style).digest('base64');
  const policy = String(headers['content-security-policy']).split('; ');
  t.strictSame(policy, [
    "default-src 'none'",
    `style-src 'sha256-${hash}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]);
  t.notMatch(text, /<script|<link|<img|<iframe|<form|\ssrc=|\sstyle=|\son[a-z]+=|url\(|@import/i);
  const targets = [...text.matchAll(/href="([^"]*)"/g)].map(([, target = '']) => target);
  t.ok(targets.length > 15);
  for (const target of targets) {
    if (target === 'openapi.json') continue;
    t.ok(target.startsWith('#') && text.includes(`id="${target.slice(1)}"`), `${target} leads somewhere on the page`);
  }
});
