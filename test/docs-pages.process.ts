/** Every command of the documentation is run as it stands, and must answer what the page shows. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readBlocks } from './support/markdown.js';
import { FOLLOWED } from './support/pages.js';
import { skipWithout } from './support/programs.js';
import { reader } from './support/reader.js';

for (const [page, programs] of Object.entries(FOLLOWED['docs-pages.process.ts'])) {
  t.test(`${page} shows what its commands answer`, { skip: skipWithout(...programs) }, async (t) => {
    const text = readFileSync(new URL(`../${page}`, import.meta.url), 'utf8');
    const folder = t.testdir({});
    const server = await reader(t, folder, { NEXTALK_DATA: join(folder, 'data') });
    await server.follow(readBlocks(text));
  });
}
