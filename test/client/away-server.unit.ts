/** How often the browser library asks a server that does not answer. */
import t from 'tap';
import { World } from '../support/client.js';
import { FakePlatform, settle, Visit } from '../support/fake-platform.js';

t.test(
  'a server that is away for long is asked once a minute at most, and at once where somebody wants something',
  async (t) => {
    const world = new World();
    world.clock.chance = 0;
    world.machine.start();
    await world.come();
    world.take();
    world.clock.advance(10_000);
    const attempts: number[] = [];
    const begun = world.clock.now();
    const pass = (ms: number): void => {
      world.log = [];
      for (let left = ms; left > 0; left -= 100) {
        world.clock.advance(100);
        for (const line of world.log) {
          if (!line.startsWith('open')) continue;
          attempts.push(world.clock.now() - begun);
          world.log = [];
          world.lose();
        }
      }
    };
    world.lose();
    pass(300_000);
    t.ok(attempts.filter((at) => at < 120_000).length >= 10, 'some minutes');
    attempts.length = 0;
    pass(3_600_000);
    t.ok(attempts.length <= 60 && attempts.every((at, i) => i === 0 || at - (attempts[i - 1] ?? 0) >= 60_000));
    for (const step of [(): void => world.machine.hurry(), (): void => world.machine.wake()]) {
      world.log = [];
      step();
      t.match(world.log, [/^open /]);
      while (world.log.at(-1)?.startsWith('open')) world.lose();
      t.match(world.log.at(-1), /^waiting 2000 ms/, 'and soon again, as at first');
      pass(600_000);
    }
    world.machine.hurry();
    world.log = [];
    world.machine.hurry();
    t.strictSame(world.log, [], 'a call while it is asked as often as that changes nothing');
  },
);

t.test('a call asks a server at once that has been away for long', async (t) => {
  const visit = new Visit(new FakePlatform());
  const { platform, chat } = visit;
  const socket = await visit.online();
  socket.end(1006);
  const attempts = (): number => platform.sockets.length + platform.asked.length;
  for (let failed = 0; failed < 40; failed++) {
    platform.clock.advance(100_000);
    platform.lastSocket.end(1006);
    for (const asked of platform.asked) asked.fail();
    await settle();
  }
  t.match(visit.heard.states.at(-1), /^waiting/);
  const before = attempts();
  void chat.send({ to: 'anna', body: 'Are you there?' }).catch(() => undefined);
  await settle();
  t.equal(attempts(), before + 1);
});
