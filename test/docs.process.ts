/**
 * README and the operator's page are followed to the letter; the flags that README names exist, and the links of all pages
 * lead somewhere.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { parseArguments } from '../src/command-line.js';
import { anchorsOf, type Block, linksOf, readBlocks } from './support/markdown.js';
import { FOLLOWED } from './support/pages.js';
import { skipWithout } from './support/programs.js';
import { reader } from './support/reader.js';

const root = join(import.meta.dirname, '..');

function read(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

/** Nobody leaves by having been idle: how long the commands of a page take decides nothing. */
const env = { NEXTALK_SET: 'presence.clientIdleMs=3600000;presence.graceMs=100' };

/** Anna leaves by OFFLINE, in the place of her idle time, before the page shows that Jack sees her go. */
const annaLeaves = readBlocks(
  [
    '```sh',
    'curl -u localhost:public -d ticket=$ANNA http://localhost:8080/v5/presences/offline',
    '```',
    '',
    '```json',
    '{"status":"ok"}',
    '```',
  ].join('\n'),
);

function withoutWaiting(blocks: readonly Block[]): readonly Block[] {
  return blocks.flatMap((block) => (block.text.includes('"type":"offline"') ? [...annaLeaves, block] : [block]));
}

for (const [page, programs] of Object.entries(FOLLOWED['docs.process.ts'])) {
  t.test(`${page} shows what its commands answer`, { skip: skipWithout(...programs) }, async (t) => {
    await (await reader(t, t.testdir({}), env)).follow(withoutWaiting(readBlocks(read(page))));
  });
}

t.test('every flag that README.md names is one of --help', async (t) => {
  let help = '';
  parseArguments(
    ['--help'],
    (text) => {
      help += text;
    },
    () => undefined,
  );
  const named = [...read('README.md').matchAll(/--[a-z][a-z-]*(?= [A-Z])/g)].map(([flag]) => flag);
  t.ok(named.length > 5);
  for (const flag of new Set(named)) t.ok(help.includes(`${flag} <`), flag);
});

const pages = ['README.md', 'CHANGELOG.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];

for (const page of pages.filter((name) => name.endsWith('.md'))) {
  t.test(`the links of ${page} lead somewhere`, async (t) => {
    for (const link of linksOf(read(page))) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      t.ok(existsSync(join(root, target)), link);
      if (anchor !== undefined && target.endsWith('.md')) t.ok(anchorsOf(read(target)).has(anchor), link);
    }
  });
}
