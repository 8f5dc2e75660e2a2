/** The site libraries as processes of their languages: a line of JSON asks for one call, a line tells what came of it. */
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { childEnvironment, spawnTethered } from '../support/process.js';
import { type Program, program } from '../support/programs.js';
import { ask } from './drivers/driver.js';
import type { Outcome, Question } from './table.js';

/** What a test hands in: only the part of tap's test object that cleaning up needs. */
interface Cleaner {
  teardown(fn: () => unknown): void;
}

export type Ask = (question: Question) => Promise<Outcome>;

export interface Language {
  readonly name: string;
  readonly needs: readonly Program[];
  start(t: Cleaner): Ask;
}

const drivers = join(import.meta.dirname, 'drivers');

function child(t: Cleaner, name: Program, args: readonly string[]): Ask {
  const process = spawnTethered(program(name) ?? name, args, {
    env: childEnvironment({ PYTHONDONTWRITEBYTECODE: '1' }),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { stdin, stdout } = process;
  if (stdin === null || stdout === null) throw new Error('the process has no pipes');
  const ended = once(process, 'close');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  t.teardown(async () => {
    stdin.end();
    await ended;
  });
  return async (question) => {
    stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`${name} has ended`);
    return JSON.parse(value);
  };
}

export const languages: readonly Language[] = [
  { name: 'Node', needs: [], start: () => ask },
  { name: 'PHP', needs: ['php'], start: (t) => child(t, 'php', [join(drivers, 'driver.php')]) },
  { name: 'Python', needs: ['python3'], start: (t) => child(t, 'python3', [join(drivers, 'driver.py')]) },
];
