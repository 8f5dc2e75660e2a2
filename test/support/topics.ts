import fc from './properties.js';

/** Few level names, so that filters and topics meet often; `` and `$a` are the odd ones. */
const level = fc.constantFrom('', 'a', 'b', 'cc', '$a', 'é');

export const topic = fc
  .array(level, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join('/'))
  .filter((text) => text !== '');

const wild = fc.oneof({ weight: 3, arbitrary: level }, { weight: 2, arbitrary: fc.constant('+') });

export const filter = fc
  .tuple(fc.array(wild, { minLength: 1, maxLength: 5 }), fc.constantFrom('', '#'))
  .map(([levels, last]) => (last ? [...levels.slice(1), last] : levels).join('/'))
  .filter((text) => text !== '');

/** Section 4.7 of MQTT 5 by the letter, slow and plain: the model that the server's matching of topics is held to. */
export function modelMatches(filter: string, topic: string): boolean {
  if (topic[0] === '$' && (filter[0] === '+' || filter[0] === '#')) return false;
  return levelsMatch(filter.split('/'), topic.split('/'));
}

function levelsMatch([wanted, ...filters]: string[], levels: string[]): boolean {
  if (wanted === undefined) return levels.length === 0;
  // "sport/#" also matches the singular "sport", since # includes the parent level. [MQTT 5, 4.7.1.2]
  if (wanted === '#') return true;
  const [name, ...rest] = levels;
  if (name === undefined) return false;
  return (wanted === '+' || wanted === name) && levelsMatch(filters, rest);
}
