/** The browser library in Chromium behind a link that goes silent before it breaks: what is sent arrives, once and in order. */
import t from 'tap';
import { builtLibrary, kept, launch, sign, startSmallSite, tokenSecret, until, visit } from '../support/library.js';
import { LossyRelay } from '../support/lossy-relay.js';
import { skipWithout } from '../support/programs.js';
import { siteA, testServer } from '../support/server.js';

const script = (server: string, transport: string): string => `
  import { connect } from '/lib/client.js';
  const token = async () => (await fetch('/token?name=jack')).text();
  keep(connect({ server: '${server}', token, transports: ['${transport}'] }));`;

for (const [transport, kind] of [
  ['websocket', 'websocket'],
  ['events', 'events'],
  ['poll', 'jsonp'],
] as const) {
  t.test(
    `a page by ${transport} has 30 messages once and in order, over two links that go silent and break`,
    { skip: skipWithout('chromium') },
    async (t) => {
      const folder = await builtLibrary();
      const server = await testServer(t, { domains: [{ ...siteA, tokenSecret }] });
      const relay = await LossyRelay.start(server);
      const small = await startSmallSite(t, () => server.site(), folder, {
        script: script(`http://127.0.0.1:${relay.port}`, transport),
        token: (name) => sign(name),
      });
      const browser = await launch(t);
      const context = await browser.newContext();
      await context.clock.install();
      const page = await visit(context, small.url);
      await until(page, 'states', `online ${transport}`);

      const sent: string[] = [];
      const push = async (): Promise<void> => {
        for (let n = 0; n < 5; n++) {
          sent.push(`anna: ${sent.length}`);
          await server.site().push('anna', 'jack', String(sent.length - 1));
        }
      };
      const waits = (): Promise<number> =>
        page.evaluate(() => window.states.filter((state) => state.startsWith('waiting')).length);
      const arrived = () => until(page, 'heard', sent.at(-1));
      const cuts: readonly (() => Promise<unknown>)[] = [
        // Both ends learn that the link has gone.
        async () => relay.break(),
        // The page finds out by itself; the server does not know when the next link comes.
        async () => {
          const before = await waits();
          await page.clock.runFor(21_000);
          await page.clock.runFor(5_000);
          // A poll that has no answer is asked anew: the page stays online.
          if (transport !== 'poll') t.ok((await waits()) > before, 'the page has found its link dead');
          relay.breakClients();
        },
      ];
      for (const cut of cuts) {
        await push();
        await arrived();
        // A page that polls has asked anew: the link of that poll is to go silent.
        await server.settledWhile(() => server.metrics.connections[kind] === 0);
        const { swallowed } = relay;
        relay.silence();
        await push();
        await server.settledWhile(() => relay.swallowed === swallowed);
        await cut();
        await push();
        await arrived();
      }
      t.equal(sent.length, 30);
      t.strictSame(await kept(page, 'heard'), sent);
      t.strictSame(await kept(page, 'missed'), []);
      t.equal(small.asked.token, 1, 'the page goes on with the ticket that it has');
    },
  );
}
