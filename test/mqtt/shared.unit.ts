import t from 'tap';
import { type Machine, testMachine } from './support/broker.js';
import { payloads, TestDevice, turn } from './support/device.js';

const filter = '$share/group/jobs/#';

async function member({ host }: Machine, clientId: string, sessionExpiryInterval = 0): Promise<TestDevice> {
  const device = new TestDevice(host);
  await device.connect(clientId, { properties: { sessionExpiryInterval, receiveMaximum: 1 } });
  await device.subscribe(filter, 1);
  return device;
}

async function publisher({ host }: Machine): Promise<TestDevice> {
  const device = new TestDevice(host);
  await device.connect('publisher');
  return device;
}

t.test('Each publication goes to one member, and members take turns', async (t) => {
  const machine = testMachine(t);
  const members = [await member(machine, 'a'), await member(machine, 'b'), await member(machine, 'c')];
  const from = await publisher(machine);
  for (let i = 0; i < 9; i++) from.publish('jobs/x', `${i}`);
  const got = await Promise.all(members.map(async (device) => payloads(await device.received())));
  t.strictSame(
    got.flat().sort(),
    Array.from({ length: 9 }, (_, i) => `${i}`),
  );
  t.strictSame(
    got.map(({ length }) => length),
    [3, 3, 3],
  );
});

t.test('Connected members come first; where none is connected a publication waits with one member', async (t) => {
  const machine = testMachine(t);
  const away = await member(machine, 'away', 60);
  const here = await member(machine, 'here', 60);
  away.connection.lost();
  await turn();
  const from = await publisher(machine);
  for (let i = 1; i <= 3; i++) from.publish('jobs/x', `${i}`, 1, { messageId: i });
  const got: string[] = [];
  for (let i = 1; i <= 3; i++) {
    got.push(...payloads(await here.received()));
    here.send({ cmd: 'puback', messageId: i });
  }
  t.strictSame(got, ['1', '2', '3']);
  here.connection.lost();
  await turn();
  from.publish('jobs/x', 'later', 1, { messageId: 9 });
  await turn();
  const kept = [];
  for (const clientId of ['away', 'here']) {
    kept.push(...payloads(await new TestDevice(machine.host).connect(clientId, { clean: false })));
  }
  t.strictSame(kept, ['later']);
});

t.test('Another member gets what a member that leaves has not been sent', async (t) => {
  const machine = testMachine(t);
  const first = await member(machine, 'first');
  const from = await publisher(machine);
  for (let i = 1; i <= 3; i++) from.publish('jobs/x', `${i}`, 1, { messageId: i });
  t.strictSame(payloads(await first.received()), ['1'], 'its receive maximum is 1');
  const second = await member(machine, 'second');
  first.connection.lost();
  await turn();
  const got = payloads(await second.received());
  for (const messageId of [1, 2]) {
    second.send({ cmd: 'puback', messageId });
    got.push(...payloads(await second.received()));
  }
  t.strictSame(got, ['1', '2', '3'], 'and what it had not acknowledged');
});

t.test('A shared subscription is sent no retained publications', async (t) => {
  const machine = testMachine(t);
  (await publisher(machine)).publish('jobs/kept', 'kept', 1, { retain: true });
  await turn();
  const device = new TestDevice(machine.host);
  await device.connect('a');
  t.match(await device.subscribe(filter, 1), [{ cmd: 'suback', granted: [1] }]);
});
