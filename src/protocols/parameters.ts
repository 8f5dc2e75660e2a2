/** Parameters of a request, from a query, a form or a JSON object. Names are the user's: they live in a Map. */

/** Text from a query or form; from JSON also lists, and whatever else it held: the call's schema refuses that. */
export type Parameters = Map<string, unknown>;

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  return spaced.includes('%') ? decodeURIComponent(spaced) : spaced;
}

/**
 * Reads `a=1&b=2` into `into`. The last of several counts, as PHP has it. False where it is not percent-encoded UTF-8.
 * U+FFFD unescaped is what bytes that are no UTF-8 have become on their way here.
 */
export function readForm(text: string, into: Parameters): boolean {
  if (text.includes('\ufffd')) return false;
  try {
    for (const pair of text.split('&')) {
      if (pair === '') continue;
      const at = pair.indexOf('=');
      if (at < 0) into.set(decode(pair), '');
      else into.set(decode(pair.slice(0, at)), decode(pair.slice(at + 1)));
    }
    return true;
  } catch {
    return false;
  }
}

/** Numbers outside of strings, and the strings, so that they are passed over. */
const NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** Numbers whose text a double does not keep: long ones, fractions, exponents. */
const FRAGILE = /\d{16}|\d[.eE]/;

function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (!FRAGILE.test(text)) return value;
  return JSON.parse(text.replace(NUMBER, (token) => (token.startsWith('"') ? token : `"${token}"`)));
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

/** Text of a JSON scalar; what is none is kept as the JSON it is, which no field takes. */
function scalar(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

function texts(list: readonly unknown[]): readonly unknown[] {
  return list.filter((item) => item !== null).map((item) => scalar(item) ?? item);
}

/**
 * Reads a JSON object; null counts as missing, numbers and booleans stand for their text. A value of a wrong kind is
 * kept as it is, for the call's schema to name. False: no such object, or half surrogates anywhere in it.
 */
export function readJson(text: string, into: Parameters): boolean {
  let object: unknown;
  try {
    object = parseJson(text);
    if (SURROGATE.test(text) && hasHalfSurrogate(text)) return false;
  } catch {
    return false;
  }
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return false;
  for (const [name, value] of Object.entries(object)) {
    if (value === null) continue;
    into.set(name, Array.isArray(value) ? texts(value) : (scalar(value) ?? value));
  }
  return true;
}
