/** Forms: `a=1&b=x+y`, as queries and the bodies of POSTs have them (application/x-www-form-urlencoded). */
import { type Fault, type Parameters, textOf } from './parameters.js';

/** What a hex digit says; NaN: it is none. */
function digit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}

/** In characters. Up to here a text is decoded without the engine's function, which takes several times as long for a colon. */
const SHORT = 256;

/** The text decoded from its first percent sign on; null where more than ASCII is encoded, or nothing that can be read. */
function decodeAscii(text: string, first: number): string | null {
  let decoded = '';
  let start = 0;
  for (let at = first; at >= 0; at = text.indexOf('%', start)) {
    const byte = digit(text.charCodeAt(at + 1)) * 16 + digit(text.charCodeAt(at + 2));
    if (!(byte < 0x80)) return null;
    decoded += text.slice(start, at) + String.fromCharCode(byte);
    start = at + 3;
  }
  return decoded + text.slice(start);
}

/** Percent-decodes a text. Throws a URIError where it is not percent-encoded UTF-8. */
export function decode(text: string): string {
  const first = text.indexOf('%');
  if (first < 0) return text;
  return (text.length <= SHORT ? decodeAscii(text, first) : null) ?? decodeURIComponent(text);
}

/** All plus signs. A regular expression, since its replacement is one flat text in V8; with a text as the pattern it is many parts. */
const PLUSES = /\+/g;

/** `rooms[]` and `rooms[0]`, as PHP writes the items of a list called `rooms`. */
const ITEM = /^([^[\]]+)\[\d*\]$/;
const BRACKET_END = 0x5d;
/** In characters; no list of the API has a longer name. */
const LONGEST_ITEM_NAME = 64;

/** The name of the list that a parameter of this name is an item of. */
function listOf(name: string): string | null {
  if (name.charCodeAt(name.length - 1) !== BRACKET_END || name.length > LONGEST_ITEM_NAME) return null;
  return ITEM.exec(name)?.[1] ?? null;
}

/** Reads a form like `a=1&b=x+y` that has been decoded from UTF-8: U+FFFD in it is what bytes that are no UTF-8 have become. */
export function readForm(text: string, into: Parameters, most: number): Fault | null {
  if (text === '') return null;
  if (text.includes('\ufffd')) return 'malformed';
  return readPairs(text.includes('+') ? text.replace(PLUSES, ' ') : text, into, most);
}

/**
 * Reads `a=1&b=x y` into `into`, at most `most` of them (0: any number). The last of several counts, as PHP has it; items
 * of one list come together. Malformed: not percent-encoded UTF-8.
 */
function readPairs(text: string, into: Parameters, most: number): Fault | null {
  const lists: Lists = { items: null };
  let count = 0;
  // The first equals sign from `start` on; searched anew only when it is behind, so that each part of the text is searched once.
  let equals = text.indexOf('=');
  for (let start = 0; start < text.length; ) {
    const next = text.indexOf('&', start);
    const end = next < 0 ? text.length : next;
    if (equals >= 0 && equals < start) equals = text.indexOf('=', start);
    if (end > start) {
      count += 1;
      if (most > 0 && count > most) return 'tooMany';
      const at = equals < 0 || equals > end ? end : equals;
      if (!addEscaped(text.slice(start, at), text.slice(at + 1, end), into, lists)) return 'malformed';
    }
    start = end + 1;
  }
  return null;
}

/** The lists of one form by their names; null: it has none, as nearly all. */
interface Lists {
  items: Map<string, string[]> | null;
}

/** Adds a pair to `into`. */
function addPair(name: string, value: string, into: Parameters, lists: Lists): void {
  const list = listOf(name);
  if (list === null) {
    lists.items?.delete(name);
    into.set(name, value);
    return;
  }
  lists.items ??= new Map();
  const items = lists.items.get(list) ?? [];
  if (items.length === 0) {
    lists.items.set(list, items);
    into.set(list, items);
  }
  items.push(value);
}

/** Adds a pair whose name and value are percent-encoded; false where they are not percent-encoded UTF-8. */
function addEscaped(name: string, value: string, into: Parameters, lists: Lists): boolean {
  try {
    addPair(decode(name), decode(value), into, lists);
    return true;
  } catch {
    return false;
  }
}

const [PERCENT, AMPERSAND, PLUS, EQUALS, SPACE] = [0x25, 0x26, 0x2b, 0x3d, 0x20];
/** Bytes from here on are no ASCII. */
const BEYOND_ASCII = 0x80;
/** For each byte 1 where it is no ordinary character of a form. One look-up in place of five comparisons. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= BEYOND_ASCII || [PERCENT, AMPERSAND, PLUS, EQUALS].includes(byte) ? 1 : 0,
);
/** So many pairs of a body are noted while its bytes are looked at; a body of more is cut up afterwards. */
const MOST_NOTED = 64;

/** What one look at the bytes of a body has found. There is one, since a body is read as a whole before the next. */
const found = {
  /** How many bytes the decoded body has. */
  length: 0,
  /** Whether escapes are left: of UTF-8, or of what divides a form. */
  isEscaped: false,
  /** How many pairs it has; -1: they are not all noted. */
  pairs: 0,
};
/** Of each pair that is noted where it starts, where its name ends, and where it ends. */
const places = new Int32Array(3 * MOST_NOTED);

/** Whether a byte that an escape says means the same where it stands by itself: it divides no form and begins no escape. */
function isPlain(byte: number): boolean {
  return byte < BEYOND_ASCII && byte !== PERCENT && byte !== AMPERSAND && byte !== EQUALS;
}

/** Notes a pair; answers how many there are then. `equals` -1: it is a name without a value. */
function note(pairs: number, start: number, equals: number, end: number): number {
  if (end === start || pairs < 0) return pairs;
  if (pairs === MOST_NOTED) return -1;
  places[3 * pairs] = start;
  places[3 * pairs + 1] = equals < 0 ? end : equals;
  places[3 * pairs + 2] = end;
  return pairs + 1;
}

/**
 * Writes spaces in place of a body's plus signs, which stand for them, and the ASCII that its escapes say: in bytes that is cheaper than
 * in texts, which V8 would put together of parts. Notes where its pairs are meanwhile, unless it is not ASCII or has a broken escape.
 */
function decodeBytes(body: Buffer): void {
  const { length } = body;
  let isEscaped = false;
  let isAscii = true;
  let pairs = 0;
  let start = 0;
  let equals = -1;
  let end = 0;
  let at = 0;
  for (; at < length; at++) {
    let byte = body[at] as number;
    if (SPECIAL[byte] === 1) {
      if (byte === AMPERSAND) {
        pairs = note(pairs, start, equals, end);
        start = end + 1;
        equals = -1;
      } else if (byte === EQUALS) {
        if (equals < 0) equals = end;
      } else if (byte === PLUS) byte = SPACE;
      else if (byte === PERCENT) {
        const said = digit(body[at + 1] ?? 0) * 16 + digit(body[at + 2] ?? 0);
        // A form with a broken escape is malformed: what is decoded behind that could mend it.
        if (Number.isNaN(said)) break;
        if (isPlain(said)) {
          byte = said;
          at += 2;
        } else isEscaped = true;
      } else isAscii = false;
    }
    body[end++] = byte;
  }
  const isWhole = at >= length;
  if (!isWhole) body.copyWithin(end, at);
  found.length = isWhole ? end : end + length - at;
  found.isEscaped = isEscaped;
  found.pairs = isWhole && isAscii ? note(pairs, start, equals, end) : -1;
}

/** Reads the body of a form into `into`, as `readForm` does a text; null: it is not UTF-8. Writes into the body. */
export function readFormBody(body: Buffer, into: Parameters, most: number): Fault | 'read' | null {
  decodeBytes(body);
  if (found.pairs >= 0) return readNoted(body.toString('latin1', 0, found.length), into, most) ?? 'read';
  const text = textOf(body.subarray(0, found.length));
  return text === null ? null : (readPairs(text, into, most) ?? 'read');
}

/** Reads the pairs that are noted of a text. */
function readNoted(text: string, into: Parameters, most: number): Fault | null {
  const { pairs, isEscaped } = found;
  const lists: Lists = { items: null };
  for (let pair = 0; pair < pairs; pair++) {
    if (most > 0 && pair === most) return 'tooMany';
    const equals = places[3 * pair + 1] as number;
    const name = text.slice(places[3 * pair], equals);
    const value = text.slice(equals + 1, places[3 * pair + 2]);
    if (!isEscaped) addPair(name, value, into, lists);
    else if (!addEscaped(name, value, into, lists)) return 'malformed';
  }
  return null;
}
