import { generate } from 'mqtt-packet';
import t from 'tap';
import { type SplitFault, Splitter } from '../../src/protocols/mqtt/splitter.js';
import { dice } from '../support/dice.js';

function split(chunks: readonly Buffer[], maxBytes = 0): { packets: string[]; fault: SplitFault | null } {
  const packets: string[] = [];
  const splitter = new Splitter(maxBytes, {
    version: 5,
    takePacket(bytes, start, body, end) {
      packets.push(`${bytes.toString('hex', start, body)}|${bytes.toString('hex', body, end)}`);
      return true;
    },
  });
  let fault: SplitFault | null = null;
  for (const chunk of chunks) fault ??= splitter.feed(chunk, chunk.length);
  return { packets, fault };
}

const options = { protocolVersion: 5 };
const conversation = Buffer.concat([
  generate(
    { cmd: 'publish', topic: 'a', payload: 'x'.repeat(300), qos: 1, messageId: 7, dup: false, retain: false },
    options,
  ),
  generate({ cmd: 'pingreq' }, options),
  generate({ cmd: 'publish', topic: 'b', payload: '', qos: 0, dup: false, retain: false }, options),
  generate({ cmd: 'puback', messageId: 1, reasonCode: 0 }, options),
]);

t.test('Packets are the same wherever the stream is cut', async (t) => {
  const whole = split([conversation]);
  t.equal(whole.packets.length, 4);
  for (let at = 1; at < conversation.length; at++) {
    t.strictSame(split([conversation.subarray(0, at), conversation.subarray(at)]), whole, `cut at ${at}`);
  }
  t.strictSame(split(Array.from(conversation, (byte) => Buffer.from([byte]))), whole, 'byte by byte');
});

t.test('A packet that is too large is refused as soon as its length is there', async (t) => {
  t.strictSame(split([Buffer.from('30e507', 'hex')], 1000), { packets: [], fault: null }, '1000 bytes are allowed');
  t.strictSame(split([Buffer.from('30e607', 'hex')], 1000).fault, { reason: 0x95, silent: false });
});

t.test('A length of five bytes ends the stream, and so does a first byte that is refused', async (t) => {
  t.strictSame(split([Buffer.from('308080808001', 'hex')]).fault, { reason: 0x81, silent: true });
  t.strictSame(split([Buffer.from('00', 'hex')]).fault, { reason: 0x82, silent: false });
});

t.test('No stream of bytes makes the splitter fail or keep more than one packet', async (t) => {
  const roll = dice(20_260_801);
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.from(Array.from({ length: roll(60) }, () => roll(256)));
    const splitter = new Splitter(50, { version: 3, takePacket: () => true });
    const fault = splitter.feed(bytes, bytes.length);
    t.ok(fault !== null || splitter.keptBytes <= 50, bytes.toString('hex'));
  }
});
