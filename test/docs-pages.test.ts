/** Every command of the documentation is run as it stands, and must answer what the page shows. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { readBlocks } from './support/markdown.js';
import { reader } from './support/reader.js';

for (const page of ['rest.md', 'long-connections.md', 'services.md']) {
  t.test(`docs/${page} shows what its commands answer`, async (t) => {
    const text = readFileSync(new URL(`../docs/${page}`, import.meta.url), 'utf8');
    await (await reader(t, t.testdir({}))).follow(readBlocks(text));
  });
}
