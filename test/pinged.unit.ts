/** The ping of a client that keeps a position, read from its bytes. */
import t from 'tap';
import { parsePosition } from '../src/actors/position.js';
import { OTHER_TEXT, pingedNumber } from '../src/protocols/pinged.js';
import fc from './support/properties.js';

const ERA = '0f3a9_~-Z';

function numberIn(text: string, era = ERA): number {
  const { buffer, byteOffset, length } = Buffer.from(text);
  return pingedNumber(buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer, era);
}

t.test('a ping with a position of the era says the number of that position', async (t) => {
  for (const n of [0, 7, 320, 999_999_999_999_999]) t.equal(numberIn(`ping ${ERA}.${n}`), n);
});

t.test('any other text is no such ping', async (t) => {
  const position = `${ERA}.7`;
  const others = ['', 'ping', 'ping ', `ping ${ERA}`, `ping ${ERA}.`, `ping  ${position}`, `pong ${position}`];
  others.push(`ping ${position} `, `ping ${position}x`, `ping ${ERA}.-1`, `ping ${ERA}.1.5`, `received ${position}`);
  others.push(`Ping ${position}`, `ping other_era.7`, `ping ${ERA}.1234567890123456`, `ping ${ERA}:7`);
  for (const text of others) t.equal(numberIn(text), OTHER_TEXT, text);
  t.equal(numberIn('ping .7', ''), OTHER_TEXT, 'where the era is not known');
});

t.test('a number is read where the text’s position is one of the era, and nowhere else', async () => {
  const character = fc.constantFrom(...'ping 0f3a9_~-Z.7x');
  const texts = fc.oneof(
    fc.array(character, { maxLength: 30 }).map((characters) => characters.join('')),
    fc.array(character, { maxLength: 4 }).map((characters) => `ping ${ERA}.${characters.join('')}`),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const position = text.startsWith('ping ') ? parsePosition(text.slice(5)) : null;
      return numberIn(text) === (position?.era === ERA ? position.n : OTHER_TEXT);
    }),
  );
});
