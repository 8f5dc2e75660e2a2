/** The machine of the browser library: what it does at each event, in each of its states, as a table. */
import t from 'tap';
import { NoSession } from '../../client/src/machine.js';
import { frame, message, SESSION, World } from '../support/client.js';

type Step = (world: World) => unknown;

const pass =
  (ms: number): Step =>
  (world) =>
    world.clock.advance(ms);
const lose: Step = (world) => world.lose();
const come: Step = (world) => world.come();
const take: Step = (world) => world.take();
const wake: Step = (world) => world.machine.wake();

const answering: Step = (world) => {
  world.pongMs = 50;
};

const identifying: readonly Step[] = [(world) => world.machine.start()];
const opening: readonly Step[] = [...identifying, come];
const online: readonly Step[] = [...opening, take];
/** Online for so long that a lost connection is nothing strange. */
const steady: readonly Step[] = [...online, pass(10_000)];
const waiting: readonly Step[] = [...steady, lose];
const stopped: readonly Step[] = [...online, (world) => world.machine.stop('closed')];
/** Sockets are blocked, and the stream of events works. */
const onEvents: readonly Step[] = [answering, ...opening, lose, take, pass(10_000)];
/** A connection that the page before has left. */
const resumed: readonly Step[] = [...identifying, (world) => world.come({ session: SESSION, position: '7.9' })];

const table: readonly (readonly [title: string, before: readonly Step[], step: Step, log: readonly string[]])[] = [
  ['begins by asking for a ticket', [], (world) => world.machine.start(), ['connecting', 'identify']],
  ['a ticket: opens the best transport', identifying, come, ['open websocket']],
  ['no ticket: waits', identifying, (w) => w.refuse(), ['waiting 500 ms (no network)']],
  [
    'no ticket, busy: waits as long as the server says',
    identifying,
    (w) => w.refuse(new NoSession('busy', false, 7_000)),
    ['waiting 10500 ms (busy)'],
  ],
  [
    'no ticket for good: stops',
    identifying,
    (w) => w.refuse(new NoSession('authentication failed', true)),
    ['stopped (authentication failed)'],
  ],
  [
    'the token function throws something: waits',
    identifying,
    (w) => w.refuse(new Error('secret')),
    ['waiting 500 ms (no ticket)'],
  ],
  ['the site never answers: waits', identifying, pass(20_000), ['waiting 500 ms (no ticket in time)']],
  ['closed before there is a ticket: stops', identifying, (w) => w.machine.stop('closed'), ['stopped (closed)']],
  ['the server takes the connection: online', opening, take, ['online websocket']],
  ['a transport that never worked fails: the next one at once', opening, lose, ['close websocket', 'open events']],
  [
    'a transport that never worked says nothing: the next one',
    opening,
    pass(5_000),
    ['close websocket', 'open events'],
  ],
  [
    'a server that is busy is no blocked transport',
    opening,
    (w) => w.end({ kind: 'lost', reason: 'busy', retryAfterMs: 2_000 }),
    ['close websocket', 'waiting 3000 ms (busy)'],
  ],
  [
    'all transports fail: waits, and begins with the first again',
    [...opening, lose, lose],
    (w) => {
      w.lose();
      w.clock.advance(500);
    },
    ['close poll', 'waiting 500 ms (cut)', 'open websocket'],
  ],
  [
    'an older server: asked again without positions',
    opening,
    (w) => w.end({ kind: 'older' }),
    ['close websocket', 'open websocket'],
  ],
  [
    'a ticket that was just given is unknown: waits, then another',
    opening,
    (w) => {
      w.end({ kind: 'unknown' });
      w.clock.advance(500);
    },
    ['close websocket', 'waiting 500 ms (ticket not found)', 'identify'],
  ],
  [
    'refused for good: stops',
    opening,
    (w) => w.end({ kind: 'stopped', reason: 'origin is not allowed' }),
    ['close websocket', 'stopped (origin is not allowed)'],
  ],
  ['a page before this one left a ticket: online with it', resumed, take, ['online websocket']],
  [
    'the ticket of the page before is unknown: anew at once',
    resumed,
    (w) => w.end({ kind: 'unknown' }),
    ['close websocket', 'waiting (ticket not found)', 'identify'],
  ],
  ['the connection is lost: waits half a second', steady, lose, ['close websocket', 'waiting 500 ms (cut)']],
  ['pings after 20 s', online, pass(20_000), ['ping 7.0']],
  [
    'no pong within 5 s: the connection is dead',
    online,
    pass(25_000),
    ['ping 7.0', 'close websocket', 'waiting 500 ms (no answer)'],
  ],
  [
    'a pong: goes on',
    [...online, pass(20_000)],
    (w) => {
      w.link.ear.alive();
      w.clock.advance(19_999);
    },
    [],
  ],
  [
    'no answer to pings is to be expected: goes on',
    [
      (w) => {
        w.answersPings = false;
      },
      ...online,
    ],
    pass(60_000),
    ['ping 7.0', 'ping 7.0', 'ping 7.0'],
  ],
  ['the network is back while online: pings at once', steady, wake, ['ping 7.0']],
  [
    'seen again twice: one ping decides',
    [...steady, wake],
    (w) => {
      w.clock.advance(4_000);
      w.machine.wake();
      w.clock.advance(1_000);
    },
    ['ping 7.0', 'close websocket', 'waiting 500 ms (no answer)'],
  ],
  [
    'the ticket is unknown: anew at once',
    steady,
    (w) => w.end({ kind: 'unknown' }),
    ['close websocket', 'waiting (ticket not found)', 'identify'],
  ],
  [
    'the tab was duplicated: a ticket of its own at once',
    steady,
    (w) => w.end({ kind: 'replaced' }),
    ['close websocket', 'waiting (replaced)', 'identify'],
  ],
  [
    'signed out: stops',
    steady,
    (w) => w.end({ kind: 'stopped', reason: 'stopped' }),
    ['close websocket', 'stopped (stopped)'],
  ],
  ['the page closes the chat: stops', steady, (w) => w.machine.stop('closed'), ['close websocket', 'stopped (closed)']],
  [
    'put aside: closes without leaving',
    steady,
    (w) => w.machine.suspend(),
    ['close websocket', 'waiting (the page is put aside)'],
  ],
  ['put aside and back: opens at once', [...steady, (w) => w.machine.suspend()], wake, ['open websocket']],
  [
    'put aside while asking for a ticket: asks again when back',
    [...identifying, (w) => w.machine.suspend()],
    wake,
    ['identify'],
  ],
  ['the time has come: opens the transport that worked', waiting, pass(500), ['open websocket']],
  ['the network is back: opens at once', waiting, wake, ['open websocket']],
  ['fails again: waits twice as long', [...waiting, pass(500)], lose, ['close websocket', 'waiting 1000 ms (cut)']],
  ['closed while waiting: stops', waiting, (w) => w.machine.stop('closed'), ['stopped (closed)']],
  ['back online', [...waiting, pass(500)], take, ['online websocket']],
  [
    'another ticket after the first was lost: says so',
    [...steady, (w) => w.end({ kind: 'unknown' }), come],
    take,
    ['online websocket fresh'],
  ],
  [
    'a transport that worked fails three times: the others have their turn',
    [...waiting, pass(500), lose, pass(1_000), lose],
    pass(2_000),
    ['open events'],
  ],
  [
    'a better transport is tried after a minute, beside the one that works',
    onEvents,
    pass(50_000),
    ['ping 7.0', 'ping 7.0', 'open websocket', 'ping 7.0'],
  ],
  [
    'stopped: nothing wakes it',
    stopped,
    (w) => {
      w.machine.wake();
      w.machine.suspend();
      w.machine.stop('again');
      w.clock.advance(600_000);
    },
    [],
  ],
  [
    'stopped: a connection that is gone says nothing',
    stopped,
    (w) => {
      w.lose();
      w.take();
      w.link.ear.frame(frame({ messages: [message('1')] }));
    },
    [],
  ],
];

for (const [title, before, step, expected] of table) {
  t.test(title, async (t) => {
    const world = new World();
    for (const one of before) await one(world);
    world.log = [];
    await step(world);
    t.strictSame(world.log, expected);
  });
}

t.test('waits grow to 30 s, and each is multiplied by 0.5 to 1.5', async (t) => {
  const world = new World(['poll']);
  world.machine.start();
  const waits: number[] = [];
  for (let turn = 0; turn < 9; turn++) {
    world.log = [];
    await world.refuse();
    const [line = ''] = world.log;
    waits.push(Number(line.split(' ')[1]));
    world.clock.advance(waits.at(-1) ?? 0);
  }
  t.strictSame(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  for (const [chance, expected] of [
    [0, 250],
    [0.999999, 750],
  ] as const) {
    const other = new World(['poll']);
    other.clock.chance = chance;
    other.machine.start();
    await other.refuse();
    t.equal(Math.round(Number(other.log.at(-1)?.split(' ')[1])), expected);
  }
});

t.test('a server that takes connections and drops them is not hammered', async (t) => {
  const world = new World(['websocket']);
  for (const step of online) await step(world);
  const waits: string[] = [];
  for (let turn = 0; turn < 4; turn++) {
    world.lose();
    waits.push(world.log.at(-1) ?? '');
    world.clock.advance(4_000);
    world.take();
  }
  t.strictSame(waits, [
    'waiting 500 ms (cut)',
    'waiting 1000 ms (cut)',
    'waiting 2000 ms (cut)',
    'waiting 4000 ms (cut)',
  ]);
});

t.test('tickets that are unknown again and again are not asked for without end', async (t) => {
  const world = new World(['websocket']);
  for (const step of steady) await step(world);
  world.log = [];
  for (let turn = 0; turn < 4; turn++) {
    world.end({ kind: 'unknown' });
    world.clock.advance(10_000);
    await world.come();
    world.take();
  }
  t.strictSame(
    world.log.filter((line) => line.startsWith('waiting')).map((line) => line.split(' ')[1]),
    ['(ticket', '1000', '2000', '4000'],
  );
});

t.test('a better transport takes over without a gap, and only one position is said', async (t) => {
  const world = new World();
  for (const step of onEvents) await step(world);
  const events = world.link;
  world.clock.advance(50_000);
  const socket = world.link;
  t.equal(socket.kind, 'websocket');
  events.ear.frame(frame({ messages: [message('1')] }));
  world.log = [];
  t.equal(socket.ear.position(), '7.1');
  t.strictSame(world.log, ['close events'], 'the stream ends before the socket says where it is');
  events.ear.frame(frame({ messages: [message('2')] }));
  t.equal(world.machine.position, '7.1', 'what comes late from the stream is not counted');
  socket.ear.opened('7.1');
  t.equal(world.log.at(-1), 'online websocket');
  socket.ear.frame(frame({ messages: [message('2')] }));
  t.strictSame(
    world.frames.map(({ messages }) => messages[0]?.id),
    ['1', '2'],
  );
});

t.test('a better transport that fails disturbs nothing, and is tried less and less often', async (t) => {
  const world = new World();
  for (const step of onEvents) await step(world);
  const tries: number[] = [];
  const start = world.clock.now();
  for (let seconds = 0; seconds < 1_000; seconds++) {
    const count = world.links.length;
    world.clock.advance(1_000);
    if (world.links.length === count) continue;
    tries.push(Math.round((world.clock.now() - start) / 1_000));
    world.lose();
  }
  t.strictSame(tries, [50, 170, 410, 890]);
  t.equal(world.machine.transport, 'events');
});

t.test('a hidden page does not try a better transport', async (t) => {
  const world = new World();
  for (const step of onEvents) await step(world);
  world.isHidden = true;
  const events = world.link;
  for (let minute = 0; minute < 10; minute++) {
    world.clock.advance(60_000);
  }
  t.equal(world.link, events);
});

t.test('positions are added up: packets, missed numbers, and what the server says', async (t) => {
  const world = new World(['websocket']);
  for (const step of online) await step(world);
  const { ear } = world.link;
  const position = (parts: Parameters<typeof frame>[0]): string | null => {
    ear.frame(frame(parts));
    return world.machine.position;
  };
  const presence = { from: 'a', to: 'b', nick: 'A', type: 'online', show: 'away', status: '' };
  const status = { from: 'a', to: 'b', nick: 'A', show: 'typing' };
  t.equal(position({ messages: [message('1'), message('2')] }), '7.2');
  t.equal(position({ presences: [presence], statuses: [status] }), '7.4');
  t.equal(position({ missed: 10, lost: 3, messages: [message('3')] }), '7.15');
  t.equal(position({ position: '8.100', missed: true, messages: [message('4')] }), '8.101');
  t.equal(position({ position: 'node.1.5' }), 'node.1.5', 'an era may hold a dot');
  t.equal(position({ messages: [message('5')] }), 'node.1.6');
  t.equal(position({}), 'node.1.6');
});

t.test('no timer is left when it has stopped', async (t) => {
  for (const before of [identifying, opening, online, onEvents, waiting]) {
    const world = new World();
    for (const step of before) await step(world);
    world.machine.stop('closed');
    t.equal(world.clock.waiting, 0);
  }
});
