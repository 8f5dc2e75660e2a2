/** Whose calls wait while another site is busy, on the wire; who is served when is in fair-share.unit.ts. */
import t from 'tap';
import { basic, encode } from './support/http.js';
import { RawSocket } from './support/raw.js';
import { siteA, siteB, testServer } from './support/server.js';
import { SECRET, token } from './support/tokens.js';

const AT_ONCE = 40;
/** How calls come into turns of the event loop is the machine's business: so many rounds are tried. */
const ROUNDS = 50;

const authorization = `Authorization: ${basic(siteA.domain, siteA.apikey)}\r\n`;
const online = { name: '1', nick: '1' };
/** How a site says which domain it is. */
const CALLS = new Map<string, readonly [headers: string, form: string]>([
  ['HTTP Basic', [authorization, encode(online)]],
  ['parameters', ['', encode({ ...siteA, ...online })]],
  ['a signed token', ['', encode({ domain: siteA.domain, token: token('1') })]],
]);

for (const [how, [headers, form]] of CALLS) {
  t.test(
    `calls that come together wait for their turn while another site is busy, where ${how} names the domain`,
    async (t) => {
      const server = await testServer(t, { domains: [{ ...siteA, tokenSecret: SECRET }, siteB] });
      const sockets = await Promise.all(Array.from({ length: AT_ONCE }, () => RawSocket.open(server)));
      const { metrics } = server;
      const call =
        `POST /v5/presences/online HTTP/1.1\r\nHost: a\r\n${headers}Content-Type: application/x-www-form-urlencoded\r\n` +
        `Content-Length: ${form.length}\r\n\r\n${form}`;
      for (let round = 0; round < ROUNDS && metrics.domain(siteA.domain).deferred === 0; round++) {
        await server.site(siteB).presences('1');
        const before = metrics.domain(siteA.domain).volume.restCalls;
        for (const socket of sockets) socket.write(call);
        await server.settledWhile(() => metrics.domain(siteA.domain).volume.restCalls < before + AT_ONCE);
      }
      t.ok(metrics.domain(siteA.domain).deferred > 0);
      for (const socket of sockets) t.equal((await socket.answer()).status, 200);
    },
  );
}
