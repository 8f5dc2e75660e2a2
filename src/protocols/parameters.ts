/** Parameters of a request, from a query, a form or a JSON object. */
import { isAscii, isUtf8 } from 'node:buffer';

/** So many parameters are looked for one after another, and further ones by their hash: so what a name costs has a bound. */
const MOST_LISTED = 16;

/**
 * Texts and lists of texts by name. A value of another kind is `NO_TEXT`: the schema of a call that knows the parameter refuses it. A call has
 * a handful of them, and to compare as many names takes half of what a Map takes, which hashes each name and is made anew for the fifth.
 */
export class Parameters implements Iterable<[name: string, value: unknown]> {
  /** A name and its value in turn. */
  readonly #listed: unknown[] = [];
  #others: Map<string, unknown> | null = null;

  constructor(entries: Iterable<readonly [name: string, value: unknown]> = []) {
    for (const [name, value] of entries) this.set(name, value);
  }

  get(name: string): unknown {
    const at = placeOf(this.#listed, name);
    return at < 0 ? this.#others?.get(name) : this.#listed[at + 1];
  }

  has(name: string): boolean {
    return placeOf(this.#listed, name) >= 0 || this.#others?.has(name) === true;
  }

  set(name: string, value: unknown): this {
    const at = placeOf(this.#listed, name);
    if (at >= 0) this.#listed[at + 1] = value;
    else if (this.#listed.length < 2 * MOST_LISTED && !this.#others) this.#listed.push(name, value);
    else {
      this.#others ??= new Map();
      this.#others.set(name, value);
    }
    return this;
  }

  delete(name: string): void {
    const at = placeOf(this.#listed, name);
    if (at >= 0) this.#listed.splice(at, 2);
    else this.#others?.delete(name);
  }

  *[Symbol.iterator](): Generator<[name: string, value: unknown], void> {
    const listed = this.#listed;
    for (let at = 0; at < listed.length; at += 2) yield [listed[at] as string, listed[at + 1]];
    if (this.#others) yield* this.#others;
  }
}

/** Where a name stands in a list of names and values; -1: nowhere. */
function placeOf(listed: readonly unknown[], name: string): number {
  for (let at = 0; at < listed.length; at += 2) if (listed[at] === name) return at;
  return -1;
}

/** The text of a body; null: it is not UTF-8. */
export function textOf(body: Buffer): string | null {
  if (isAscii(body)) return body.toString('latin1');
  if (!isUtf8(body)) return null;
  const text = body.toString('utf8');
  // .NET's StreamWriter puts a byte order mark in front.
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** Why parameters cannot be read. */
export type Fault = 'malformed' | 'tooMany';

/** Numbers outside of strings, and the strings, so that they are passed over. */
const NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** Numbers whose text a double does not keep: long ones, fractions, exponents. */
const FRAGILE = /\d{16}|\d[.eE]/;

/** A parsed JSON text. */
class Json {
  readonly value: unknown;
  #texts: unknown;

  constructor(private readonly text: string) {
    this.value = JSON.parse(text);
  }

  /** The value with texts for its numbers, so that they are kept as sent; made when a number or list is met, which few texts have. */
  get texts(): unknown {
    this.#texts ??= FRAGILE.test(this.text) ? JSON.parse(this.text.replace(NUMBER, quoted)) : this.value;
    return this.#texts;
  }
}

function quoted(token: string): string {
  return token.startsWith('"') ? token : `"${token}"`;
}

/** An escaped surrogate, whose other half may be missing. */
const SURROGATE = /\\ud[89a-f]/i;

function hasHalfSurrogate(text: string): boolean {
  let found = false;
  JSON.parse(text, (name: string, value: unknown) => {
    found ||= !name.isWellFormed() || (typeof value === 'string' && !value.isWellFormed());
    return value;
  });
  return found;
}

const [QUOTE, BACKSLASH, COMMA, BRACKET, BRACE] = [0x22, 0x5c, 0x2c, 0x5b, 0x7b];
const [BRACKET_END, BRACE_END] = [0x5d, 0x7d];

/** Whether a JSON text has more than `mostValues` values (counts commas and opening brackets), or nests deeper than `mostNested`. */
function exceeds(text: string, mostValues: number, mostNested: number): boolean {
  let values = 0;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) inString = false;
      continue;
    }
    const opens = code === BRACKET || code === BRACE;
    if (opens) depth += 1;
    else if (code === BRACKET_END || code === BRACE_END) depth -= 1;
    else if (code === QUOTE) inString = true;
    if (opens || code === COMMA) values += 1;
    if (values > mostValues || depth > mostNested) return true;
  }
  return false;
}

/** Whether a JSON text has more than `most` values, at any depth, of two characters each at least; `most` 0: there is no limit. */
function hasMoreValues(text: string, most: number): boolean {
  return most > 0 && text.length > 2 * most && exceeds(text, most, Number.POSITIVE_INFINITY);
}

/** Stands for an object or list given where a text belongs. Its content is not kept, so that nothing deeply nested goes to another node. */
const NO_TEXT = Object.freeze({});

/** The text of a JSON string, number or boolean; `NO_TEXT` for any other value. */
function scalar(value: unknown): string | typeof NO_TEXT {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : NO_TEXT;
}

/**
 * Reads a JSON object of at most `most` values, those in lists and objects counted too (0: any number); null counts as
 * missing, numbers and booleans stand for their text. A value of a wrong kind is `NO_TEXT`, for the call's schema to
 * name. Malformed: no such object, or half surrogates anywhere in it.
 */
export function readJson(text: string, into: Parameters, most: number): Fault | null {
  const read = readValue(text, most);
  if (typeof read === 'string') return read;
  return fill(into, read.value, () => read.texts) ? null : 'malformed';
}

/** Like `readJson`, but reads an object or a list of objects. An item of the list that is not an object has no parameters. */
export function readJsonList(text: string, most: number): Parameters[] | { readonly one: Parameters } | Fault {
  const read = readValue(text, most);
  if (typeof read === 'string') return read;
  const one = new Parameters();
  if (Array.isArray(read.value)) {
    const items = new Items(read.value, () => read.texts as readonly unknown[]);
    return read.value.map((_value, at) => items.at(at));
  }
  return fill(one, read.value, () => read.texts) ? { one } : 'malformed';
}

/** The name of the list of messages in the body of a batch. */
const MESSAGES = 'messages';

/** A list, such as the messages of a batch. Each item becomes `Parameters` when it is asked for, so that a long list blocks nobody. */
export class Items {
  constructor(
    private readonly values: readonly unknown[],
    /** The list with texts in place of its numbers. */
    private readonly texts: () => readonly unknown[],
  ) {}

  get length(): number {
    return this.values.length;
  }

  /** The parameters of the item at a place; an item that is not an object has no parameters. */
  at(place: number): Parameters {
    const parameters = new Parameters();
    fill(parameters, this.values[place], () => this.texts()[place]);
    return parameters;
  }
}

/** Like `readJson`, but for a batch: where `messages` is a list, the parameter becomes `Items`. */
export function readBatch(text: string, into: Parameters, most: number): Fault | null {
  const read = readValue(text, most);
  if (typeof read === 'string') return read;
  if (!fill(into, read.value, () => read.texts, MESSAGES)) return 'malformed';
  const messages = (read.value as Record<string, unknown>)[MESSAGES];
  const texts = (): readonly unknown[] => (read.texts as Record<string, readonly unknown[]>)[MESSAGES] ?? [];
  if (Array.isArray(messages)) into.set(MESSAGES, new Items(messages, texts));
  return null;
}

/** How deep the lists and objects of data may be nested: PHP reads 512, and frames take some. */
const MOST_NESTED = 100;

/** The text of a JSON value; null: it has a number that no double holds, of which `null` would be written. */
function written(value: unknown): string | null {
  const text = JSON.stringify(value);
  if (!text.includes('null')) return text;
  let isInRange = true;
  JSON.stringify(value, (_name, one: unknown) => {
    isInRange &&= typeof one !== 'number' || Number.isFinite(one);
    return one;
  });
  return isInRange ? text : null;
}

/** The text of a JSON value, written anew; null: it is none, is nested too deep, has half surrogates, or a number that no double holds. */
export function readData(text: string): string | null {
  if (exceeds(text, Number.POSITIVE_INFINITY, MOST_NESTED)) return null;
  try {
    const value: unknown = JSON.parse(text);
    return SURROGATE.test(text) && hasHalfSurrogate(text) ? null : written(value);
  } catch {
    return null;
  }
}

function readValue(text: string, most: number): Json | Fault {
  if (hasMoreValues(text, most)) return 'tooMany';
  try {
    const read = new Json(text);
    return SURROGATE.test(text) && hasHalfSurrogate(text) ? 'malformed' : read;
  } catch {
    return 'malformed';
  }
}

/** The parameter that may be any JSON: it stands for its text, as in a form. */
const DATA = 'data';

/**
 * Adds the properties of a JSON object to `into`, but for the one called `except`. `texts` answers the object with texts for its
 * numbers. False where the value is not an object.
 */
function fill(into: Parameters, value: unknown, texts: () => unknown, except = ''): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const name of Object.keys(value)) {
    const one: unknown = (value as Record<string, unknown>)[name];
    if (one === null || name === except) continue;
    if (name === DATA) into.set(name, jsonOf(one));
    else if (typeof one === 'string') into.set(name, one);
    else into.set(name, readOther((texts() as Record<string, unknown>)[name]));
  }
  return true;
}

/** A value that is not a text, its numbers being texts. */
function readOther(value: unknown): unknown {
  return Array.isArray(value) ? value.filter((item) => item !== null).map(scalar) : scalar(value);
}

/** The text of a JSON value; of one that is nested too deep, text that is none. */
function jsonOf(value: unknown): string {
  try {
    return written(value) ?? 'a number that is none';
  } catch {
    return 'nested too deep';
  }
}
