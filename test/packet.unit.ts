import t from 'tap';
import type { Address, Target } from '../src/actors/address.js';
import { complete, type Outgoing, Packet, type PresenceFields } from '../src/actors/packet.js';
import { EMPTY_FRAME, encodeFrame, encodePacket } from '../src/protocols/frame.js';
import { packet, presence, text } from './support/arbitraries.js';
import fc from './support/properties.js';

const topic = '/domain/a.example/uid/2' as Address;
const sender = '/domain/a.example/uid/1' as Address;
const target: Target = { address: topic, node: 'uid', id: '2', client: null };

t.test('any packet’s JSON reads back as its fields, all of them and no others', async () => {
  fc.assert(
    fc.property(packet, (packet) => {
      const read: unknown = JSON.parse(encodePacket(packet));
      return JSON.stringify(sorted(read)) === JSON.stringify(sorted(packet.fields));
    }),
    { numRuns: 500 },
  );
});

t.test('a presence that goes to several receivers is to each what it would be to it alone', async () => {
  const receivers = fc.array(text, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(fc.tuple(presence, receivers), { maxLength: 4 }), (changes) =>
      changes.every(([{ fields }, receivers]) =>
        receivers.every((to) => {
          const told = new Packet('presence', { ...(fields as PresenceFields), to }, topic, sender);
          return encodePacket(told) === JSON.stringify(told.fields);
        }),
      ),
    ),
    { numRuns: 500 },
  );
});

t.test('a packet that waits to be confirmed, and keeps its JSON alone, has the same fields as before', async () => {
  fc.assert(
    fc.property(packet, (packet) => {
      const before = structuredClone(packet.fields);
      packet.compact(topic);
      const isWhole = packet.fields !== null && JSON.stringify(packet.fields) === JSON.stringify(before);
      encodeFrame([packet]);
      packet.compact(topic);
      return isWhole && JSON.stringify(sorted(packet.fields)) === JSON.stringify(sorted(before));
    }),
  );
});

t.test('the data of a message that keeps its JSON alone is its text again', async (t) => {
  const fields = {
    from: '1',
    to: '2',
    nick: '1',
    timestamp: '1',
    type: 'chat',
    body: 'b',
    style: '',
    id: 'x',
  } as const;
  for (const data of ['{"b":[1,2.5,null],"a":"\\""}', '"text"', '7', 'null']) {
    const message = new Packet('message', { ...fields, data }, topic, sender);
    const json = encodePacket(message);
    message.compact(topic);
    t.equal(message.fields.data, data);
    message.json = null;
    t.equal(encodePacket(message), json);
    encodeFrame([message]);
    message.compact(topic);
    t.equal(message.fields.data, data, 'nor where it keeps the frame that it goes out in');
    t.equal(encodePacket(message), json);
  }
});

function sorted(value: unknown): [string, unknown][] {
  return Object.entries(value as object).sort(([a], [b]) => (a < b ? -1 : 1));
}

t.test('any frame holds each packet once, by its kind, in order', async () => {
  const arrays = { message: 'messages', presence: 'presences', status: 'statuses' } as const;
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 20 }), (packets) => {
      const { text, bytes } = encodeFrame(packets);
      const frame = JSON.parse(text) as Record<string, unknown[]>;
      const wanted: Record<string, unknown[]> = { messages: [], presences: [], statuses: [] };
      for (const packet of packets) wanted[arrays[packet.kind]]?.push(JSON.parse(encodePacket(packet)));
      const isWhole = Object.entries(wanted).every(
        ([name, list]) => JSON.stringify(frame[name]) === JSON.stringify(list),
      );
      return isWhole && bytes.toString() === text && Object.keys(frame).length === 4;
    }),
  );
});

t.test('frames of the same packets one after another are the same, others are not', async (t) => {
  const make = (body: string) =>
    new Packet(
      'message',
      { from: '1', to: '2', nick: 'One', timestamp: '1', type: 'chat', body, style: '' },
      topic,
      sender,
    );
  const [one, two] = [make('one'), make('two')];
  t.equal(encodeFrame([one]), encodeFrame([one]));
  t.not(encodeFrame([one]).text, encodeFrame([two]).text);
  t.not(encodeFrame([one, two]).text, encodeFrame([two, one]).text);
  t.equal(encodeFrame([]).text, EMPTY_FRAME);
  const growing = [one];
  const before = encodeFrame(growing).text;
  growing.push(two);
  t.not(encodeFrame(growing).text, before, 'a list that grew is another one');
});

t.test('a packet is encoded once', async (t) => {
  const packet = new Packet('status', { from: '1', to: '2', nick: 'One', show: 'typing' }, topic, sender);
  const json = encodePacket(packet);
  t.equal(packet.json, json);
  t.equal(encodePacket(packet), json);
});

t.test('a message without a nick carries its sender’s', async (t) => {
  const message = (nick: string): Outgoing => ({
    kind: 'message',
    target,
    acceptedAt: 0,
    fields: { from: '', to: '2', nick, timestamp: '1', type: 'chat', body: 'hi', style: '' },
  });
  t.hasStrict(complete(message(''), '1', 'Jack', topic, sender).fields, { from: '1', nick: 'Jack', body: 'hi' });
  t.hasStrict(complete(message('J'), '1', 'Jack', topic, sender).fields, { from: '1', nick: 'J' });
  const fields = { from: '', to: '2', nick: '', show: 'typing' };
  const status: Outgoing = { kind: 'status', target, acceptedAt: 0, fields };
  t.strictSame(
    { ...complete(status, '1', 'Jack', topic, sender).fields },
    { from: '1', to: '2', nick: 'Jack', show: 'typing' },
  );
});
