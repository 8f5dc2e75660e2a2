/** Test files that share one process: a process of its own costs more than most of them. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';

const tests = join(import.meta.dirname, '..');

/** How long one file may take, as `timeout` of .taprc has it for a process: then tap names the test that hangs, and ends. */
const FILE_MS = 900_000;

/** Into how many processes the files of a kind are dealt. */
const SHARES = { unit: 1, server: 3, browser: 2, process: 4 };

async function runTogether(files: readonly string[]): Promise<void> {
  t.ok(files.length > 0, 'there are files');
  // Each file has a bound of its own: all of them may take longer than `timeout` of .taprc, which is for one.
  t.setTimeout(FILE_MS * files.length);
  for (const file of files) {
    // It waits until the tests of the file before it have ended, and those of its file come after it.
    await t.test(`test/${file}`, async ({ pass }) => {
      t.setTimeout(FILE_MS);
      await import(pathToFileURL(join(tests, file)).href);
      pass('is loaded');
    });
  }
}

/** Runs one share of the files of a kind, such as `*.server.ts`, one after another: the first of every three, or the second… */
export async function runShare(kind: keyof typeof SHARES, share: number): Promise<void> {
  const files = readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(`.${kind}.ts`))
    .sort();
  await runTogether(files.filter((_, at) => at % SHARES[kind] === share - 1));
}
