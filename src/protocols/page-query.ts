/**
 * The query of a page's request for packets: its known parameters into fixed fields, by one scan. PROTOCOL.md sections 6, 12 and 13. A
 * browser that polls asks once for each message, and a list of parameters costs as much as finding the ticket.
 */
import { decode, readForm } from './form.js';
import { type Fault, Parameters } from './parameters.js';

/** Each parameter as a form has it, a text or a list of texts; undefined: it is not there. Those before a fault have been read. */
export interface PageQuery {
  domain: unknown;
  ticket: unknown;
  position: unknown;
  callback: unknown;
  /** How many parameters are called `callback`, or are items of a list of that name. */
  callbacks: number;
  fault: Fault | null;
}

/** Reads a query of at most `most` parameters (0: any number). */
export function readPageQuery(text: string, most: number): PageQuery {
  const query: PageQuery = {
    domain: undefined,
    ticket: undefined,
    position: undefined,
    callback: undefined,
    callbacks: 0,
    fault: null,
  };
  const isPlain = !text.includes('+') && !text.includes(']') && !text.includes('\ufffd');
  if (!isPlain || !readPlain(text, query, most)) readAny(text, query, most);
  return query;
}

/** Reads a query without spaces and lists; false where the name of a parameter is percent-encoded. */
function readPlain(text: string, query: PageQuery, most: number): boolean {
  let count = 0;
  for (let start = 0; start < text.length; ) {
    const next = text.indexOf('&', start);
    const end = next < 0 ? text.length : next;
    if (end > start) {
      count += 1;
      const pair = text.slice(start, end);
      const at = pair.indexOf('=');
      const name = at < 0 ? pair : pair.slice(0, at);
      if (name.includes('%')) return false;
      query.fault = most > 0 && count > most ? 'tooMany' : take(query, name, at < 0 ? '' : pair.slice(at + 1));
      if (query.fault !== null) return true;
    }
    start = end + 1;
  }
  return true;
}

/** Takes one parameter; its value is decoded whatever its name, since broken UTF-8 is refused anywhere. */
function take(query: PageQuery, name: string, encoded: string): Fault | null {
  let value: string;
  try {
    value = decode(encoded);
  } catch {
    return 'malformed';
  }
  if (name === 'domain') query.domain = value;
  else if (name === 'ticket') query.ticket = value;
  else if (name === 'position') query.position = value;
  else if (name === 'callback') {
    query.callback = value;
    query.callbacks += 1;
  }
  return null;
}

function readAny(text: string, query: PageQuery, most: number): void {
  const parameters = new Parameters();
  query.fault = readForm(text, parameters, most);
  query.domain = parameters.get('domain');
  query.ticket = parameters.get('ticket');
  query.position = parameters.get('position');
  query.callback = parameters.get('callback');
  query.callbacks = query.callback === undefined ? 0 : text.split('&').filter(namesCallback).length;
}

function namesCallback(pair: string): boolean {
  const alone = new Parameters();
  return readForm(pair, alone, 1) === null && alone.has('callback');
}
