import { type AddressInfo, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Link } from '../bench/reliability/link.js';
import { until } from './support/until.js';

/** A link to a server that answers each letter in upper case; what the client got, and whether it was told of the end. */
async function linked(t: Test) {
  const accepted: Socket[] = [];
  const heard: string[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard.push(bytes.toString());
      socket.write(bytes.toString().toUpperCase());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const link = new Link(() => (server.address() as AddressInfo).port);
  t.teardown(() => {
    link.close();
    for (const socket of accepted) socket.destroy();
    server.close();
  });
  return { link, accepted, heard };
}

/** Connects, and answers what comes: texts, and the end. */
async function open(link: Link) {
  const came: string[] = [];
  const wire = await link.open({
    unitEnd: (_bytes, _start, end) => end,
    onUnit: (bytes, start, end) => void came.push(bytes.toString('latin1', start, end)),
  });
  wire.onClose = () => void came.push('end');
  return { wire, came };
}

const next = (emitter: Socket, event: string): Promise<unknown> =>
  new Promise((resolve) => emitter.once(event, resolve));

t.test('a silent link carries nothing, and its client hears of no end until it breaks', async (t) => {
  const { link, accepted, heard } = await linked(t);
  const { wire, came } = await open(link);
  wire.write(Buffer.from('a'));
  await until('a text or the end', () => came.length === 1);
  link.silence();
  wire.write(Buffer.from('b'));
  const ended = next(accepted[0] as Socket, 'close');
  accepted[0]?.end('C');
  await ended;
  await until('the end', () => wire.isOver);
  t.same([came, heard], [['A'], ['a']]);
  link.cut();
  t.same(came, ['A', 'end']);
});

t.test('a link that breaks tells both ends, and the next connection works', async (t) => {
  const { link, accepted, heard } = await linked(t);
  const { came } = await open(link);
  await until('a connection', () => accepted.length === 1);
  const ended = next(accepted[0] as Socket, 'close');
  accepted[0]?.resume();
  link.silence();
  link.cut();
  await ended;
  await until('a text or the end', () => came.length === 1);
  t.same(came, ['end']);
  const again = await open(link);
  again.wire.write(Buffer.from('d'));
  await until('an answer', () => again.came.length === 1);
  t.same([again.came, heard], [['D'], ['d']]);
});

t.test('a connection begun over a silent link is silent, and a link that is away lets none come about', async (t) => {
  const { link, accepted, heard } = await linked(t);
  link.silence();
  const { wire, came } = await open(link);
  wire.write(Buffer.from('e'));
  await until('a connection', () => accepted.length === 1);
  const ended = next(accepted[0] as Socket, 'close');
  link.isAway = true;
  link.cut();
  await ended;
  await until('a text or the end', () => came.length === 1);
  t.same([came, heard], [['end'], []]);
  await t.rejects(open(link), { message: 'the link is away' });
});
