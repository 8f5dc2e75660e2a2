/**
 * Records of the store in the form in which JetStream stores them: the table and key as words of a subject, the value as JSON
 * in which Buffers and numbers that JSON does not know have a form of their own.
 */
import type { Key, TableName } from './store.js';

/** The characters that may not stand in a word of a subject: each of their UTF-16 units is written as `%` and four hex digits. */
const ODD = /[^A-Za-z0-9_~:@!$&'()+,;=/-]/g;
const NUMBER = '#';
const EMPTY = '%';

function wordOf(part: string | number): string {
  if (typeof part === 'number') return NUMBER + String(part).replace('.', '_');
  if (part === '') return EMPTY;
  // The expression has no flag `u`, so that it finds each half of a surrogate pair by itself, and lone halves too.
  return part.replace(ODD, (odd) => `%${odd.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function partOf(word: string): string | number {
  if (word.startsWith(NUMBER)) return Number(word.slice(1).replace('_', '.'));
  if (word === EMPTY) return '';
  return word.replace(/%([0-9a-f]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** The subject under which JetStream stores the record of a table's key. */
export function subjectOf(table: TableName, key: Key): string {
  return `${table}.${key.map(wordOf).join('.')}`;
}

export function keyOf(subject: string): { readonly table: TableName; readonly key: Key } {
  const [table, ...words] = subject.split('.');
  return { table: table as TableName, key: words.map(partOf) as unknown as Key };
}

/** The name of the only property of an object that stands for a value that JSON has no form for. */
const MARK = '\u0000';
const MARKED = '"\\u0000":';

function plainOf(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return { [MARK]: `n${value}` };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { [MARK]: `b${Buffer.from(value).toString('base64')}` };
  if (Array.isArray(value)) return value.map(plainOf);
  const plain = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plainOf(part)]));
  // An object that has a property called MARK itself is wrapped once more, so that reading can tell it apart.
  return MARK in value ? { [MARK]: plain } : plain;
}

function fromPlain(plain: unknown): unknown {
  if (typeof plain !== 'object' || plain === null) return plain;
  if (Array.isArray(plain)) return plain.map(fromPlain);
  const marked: unknown = MARK in plain ? plain[MARK as never] : undefined;
  if (typeof marked === 'string') {
    return marked.startsWith('b') ? Buffer.from(marked.slice(1), 'base64') : Number(marked.slice(1));
  }
  const whole = typeof marked === 'object' && marked !== null ? marked : plain;
  return Object.fromEntries(Object.entries(whole).map(([name, part]) => [name, fromPlain(part)]));
}

/** Values are plain data: texts, numbers, lists, objects, Buffers. */
export function textOf(value: unknown): string {
  return JSON.stringify(plainOf(value));
}

/** The value of a text that `textOf` made. Throws a SyntaxError where the text is not JSON. */
export function parse(text: string): unknown {
  const plain: unknown = JSON.parse(text);
  return text.includes(MARKED) ? fromPlain(plain) : plain;
}
