/** The example with which the page of a site library begins. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBlocks } from '../support/markdown.js';

const LONGEST_LINES = 10;

/** The first block of the page, with the address of a server of the test's own in place of the one on port 8080. */
export function firstExample(library: 'node' | 'php' | 'python', server: string): string {
  const page = readFileSync(join(import.meta.dirname, '../../sdk', library, 'README.md'), 'utf8');
  const text = readBlocks(page)[0]?.text ?? '';
  const lines = text.split('\n').filter((line) => line.trim() !== '').length;
  if (lines === 0 || lines > LONGEST_LINES) throw new Error(`the first example of ${library} has ${lines} lines`);
  if (!text.includes('http://localhost:8080')) throw new Error(`the first example of ${library} names no server`);
  return text.replace('http://localhost:8080', server);
}
