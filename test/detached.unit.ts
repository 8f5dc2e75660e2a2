/** Texts that are kept for long and were cut out of longer ones: src/actors/detached.ts. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { detached } from '../src/actors/detached.js';

/** Bytes of the heap for each nick that is kept, where each was cut out of a body of 20,000 characters. */
function heldBy(keep: (nick: string) => string): number {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const kept: string[] = [];
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < 500; n++) {
    const body = Buffer.alloc(20_000, `${n} a nick of some length `).toString();
    kept.push(keep(body.slice(100, 125)));
  }
  gc();
  return (process.memoryUsage().heapUsed - before) / kept.length;
}

t.test('a nick that is kept does not keep the body that brought it', async (t) => {
  t.ok(heldBy((nick) => nick) > 15_000, 'a text that was cut out of a body keeps it');
  t.ok(heldBy(detached) < 2000, 'a detached one does not');
});

t.test('a detached text is the same text', async (t) => {
  for (const text of [
    '',
    'Ada',
    'Ada Lovelace, Countess',
    '日本語の名前はこのように長い',
    'a lone surrogate \ud800 and more',
  ])
    t.equal(detached(text), text);
});
