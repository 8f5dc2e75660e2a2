/** When clients that are refused, or whose streams the server ends, come again. */
import t from 'tap';
import type { Client } from '../src/actors/client.js';
import { CLOSE, comeLater, TICKET_NOT_FOUND, TOO_MANY_REQUESTS, UNAVAILABLE } from '../src/errors.js';
import { ComingAgain } from '../src/protocols/coming-again.js';
import { ConnectionLimits } from '../src/protocols/connection-limits.js';
import { findTicket } from '../src/protocols/credentials.js';
import { EventsAdapter } from '../src/protocols/events.js';
import { own, TestBroker, testMachine } from './mqtt/support/broker.js';
import { TestDevice } from './mqtt/support/device.js';

t.test(
  'of many who are refused in one moment no more than a thousand are told to come in the same second',
  async (t) => {
    let now = 1_000_000;
    const again = new ComingAgain(() => now);
    const counts = new Map<unknown, number>();
    for (let n = 0; n < 2500; n += 1) {
      const { retryAfterS } = again.told(UNAVAILABLE);
      counts.set(retryAfterS, (counts.get(retryAfterS) ?? 0) + 1);
    }
    t.strictSame(
      [...counts],
      [
        [5, 1000],
        [6, 1000],
        [7, 500],
      ],
    );
    t.match(again.told(TOO_MANY_REQUESTS), { retryAfterS: 1 }, 'who is refused for another time is not among them');
    now += 10_000;
    t.match(again.told(UNAVAILABLE), { retryAfterS: 5 });
  },
);

t.test('nobody is told to come more than a minute later than need be', async (t) => {
  const again = new ComingAgain(() => 0);
  let latest = 0;
  for (let n = 0; n < 200_000; n += 1) latest = Math.max(latest, again.inS(5));
  t.equal(latest, 65);
});

t.test('a refusal says when to come again where that helps', async (t) => {
  const again = new ComingAgain(() => 0);
  t.match(again.told(comeLater(7)), { retryAfterS: 7, saysWhen: true });
  t.equal(again.told(TICKET_NOT_FOUND), TICKET_NOT_FOUND);
});

t.test(
  'browsers whose event streams are closed because their clients have moved come again one after the other',
  async (t) => {
    const { host, domain } = testMachine(t);
    const broker = new TestBroker({} as never, host.context, host.context.domains as never);
    const events = new EventsAdapter(host.context, new ConnectionLimits(host.context));
    t.teardown(() => events.close());
    const waits: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      const ticket = await broker.online(`jack${n}`);
      const res = {
        onAborted: () => res,
        onWritable: () => res,
        cork: (write: () => void) => write(),
        writeStatus: () => res,
        writeHeader: () => res,
        write: () => true,
        end: (text: string) => void waits.push(Number(/^retry: (\d+)\n\n$/.exec(text)?.[1])),
      };
      const req = { getQuery: () => `domain=${own.domain}&ticket=${ticket}`, getHeader: () => '' };
      events.get(res as never, req as never, { origin: '', forwardedFor: '' } as never);
      const client = findTicket(domain, ticket) as Client;
      for (let turns = 0; turns < 10 && !client.transport; turns += 1) await new Promise((done) => setImmediate(done));
      client.transport?.close(CLOSE.moved);
    }
    t.ok(
      waits.every((ms) => ms >= 1000 && ms <= 6000),
      String(waits),
    );
    t.ok(new Set(waits).size > 10, String(waits));
  },
);

t.test('a device whose server ends is told when to come again', async (t) => {
  const { host } = testMachine(t);
  Object.assign(host.context, { isDraining: () => true });
  const [connack] = await new TestDevice(host).connect('device');
  t.match(connack, { reasonCode: 0x88, properties: { reasonString: 'try again later, in 5 s' } });
});
