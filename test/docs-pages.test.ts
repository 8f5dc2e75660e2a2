/** Every command of the documentation is run as it stands, and must answer what the page shows. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { readBlocks } from './support/markdown.js';
import { skipWithout } from './support/programs.js';
import { reader } from './support/reader.js';

const pages = [
  ['rest.md', skipWithout('curl')],
  ['long-connections.md', skipWithout('curl')],
  ['services.md', skipWithout('curl')],
  ['mqtt.md', skipWithout('curl', 'mosquitto_pub', 'mosquitto_sub')],
] as const;

for (const [page, skip] of pages) {
  t.test(`docs/${page} shows what its commands answer`, { skip }, async (t) => {
    const text = readFileSync(new URL(`../docs/${page}`, import.meta.url), 'utf8');
    await (await reader(t, t.testdir({}))).follow(readBlocks(text));
  });
}
