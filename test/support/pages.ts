/**
 * What tests run of the documentation. Those tests read their part here, and test/docs-commands.process.ts reads it all:
 * whatever it does not run itself must be on these lists.
 */
import type { Program } from './programs.js';

/** Pages that a reader follows from the top, by the test in which, with the programs that their commands take. */
export const FOLLOWED = {
  'docs.process.ts': { 'README.md': [], 'docs/first-message.md': ['curl'], 'docs/operating.md': ['curl'] },
  'docs-pages.process.ts': {
    'docs/rest.md': ['curl'],
    'docs/history.md': ['curl'],
    'docs/long-connections.md': ['curl'],
    'docs/services.md': ['curl'],
    'docs/mqtt.md': ['curl', 'mosquitto_pub', 'mosquitto_sub'],
  },
  'docs-site.browser.ts': { 'docs/getting-started.md': ['chromium'] },
} as const satisfies Readonly<Record<string, Readonly<Record<string, readonly Program[]>>>>;

/** Commands of docs/deploying.md that test/package.process.ts runs. */
export const PACKAGING = { pack: 'npm pack', install: 'npm install --global ./nextalk-6.0.0.tgz' } as const;
