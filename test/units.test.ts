/**
 * Runs every file `*.unit.ts` of this folder in one process: tables of inputs and answers, and state machines that a test
 * feeds by hand, which open no port, start no process and share nothing. Each runs by itself as well.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';

const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.unit.ts'))
  .sort();

t.ok(files.length > 0, 'there are units');
for (const file of files) await import(pathToFileURL(join(import.meta.dirname, file)).href);
