/** Reading a request: its path, its body up to the limit, its parameters. */
import { Buffer, isAscii, isUtf8 } from 'node:buffer';
import { badRequest, PAYLOAD_TOO_LARGE, type ReplyError, UNSUPPORTED_MEDIA_TYPE } from '../errors.js';
import type { Context } from '../protocols/context.js';
import type { Headers } from '../protocols/headers.js';
import { digit, type Fault, type Parameters, readForm, readJson, readPairs } from '../protocols/parameters.js';
import type { Stranger } from '../protocols/strangers.js';
import type { HttpResponse } from '../uws.js';

/** What must be taken from uWebSockets.js's request before its handler returns. */
export interface Head {
  readonly query: string;
  readonly headers: Headers;
}

/** A body that comes in several pieces. Who sends it is not known before its end, as its parameters may name the domain. */
export class Upload implements Stranger {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isDropped = false;

  constructor(
    private readonly context: Context,
    private readonly res: HttpResponse,
  ) {}

  /** Adds a piece, which is copied, since uWebSockets.js takes its memory back. Others that hold much longer are dropped for it. */
  add(chunk: ArrayBuffer): void {
    this.#chunks.push(Buffer.from(Buffer.from(chunk)));
    this.#bytes += chunk.byteLength;
    this.context.strangers.hold(this, this.#bytes);
  }

  /** Whether the upload was ended because strangers together hold too much: what has come of its body is gone. */
  get isDropped(): boolean {
    return this.#isDropped;
  }

  /** Answers what has come; nothing is held any more. */
  end(): Buffer {
    const body = Buffer.concat(this.#chunks);
    this.release();
    return body;
  }

  /** Forgets what has come. */
  release(): void {
    this.context.strangers.release(this);
    this.#chunks = [];
  }

  drop(): void {
    this.#isDropped = true;
    this.#chunks = [];
    this.context.runtime.metrics.refused.unavailable += 1;
    this.res.close();
  }
}

/** Whose body is read. */
export interface Uploader {
  /** The body while it comes in pieces; null: it does not. Who reads a body releases it where the connection ends first. */
  upload: Upload | null;
}

/** Reads the whole body; `done` is called once, unless the connection ends first. */
export function readBody(
  context: Context,
  res: HttpResponse,
  limitBytes: number,
  uploader: Uploader,
  done: (body: Buffer | ReplyError) => void,
): void {
  let length = 0;
  let over = false;
  res.onData((chunk, isLast) => {
    if (over) return;
    const isWhole = isLast && length === 0;
    length += chunk.byteLength;
    if (limitBytes > 0 && length > limitBytes) {
      over = true;
      uploader.upload?.release();
      done(PAYLOAD_TOO_LARGE);
      return;
    }
    if (isWhole) return done(Buffer.from(chunk));
    uploader.upload ??= new Upload(context, res);
    uploader.upload.add(chunk);
    if (isLast && !uploader.upload.isDropped) done(uploader.upload.end());
  });
}

export type MediaType = 'form' | 'json';

/** A POST without Content-Type is a form; a body that is encoded (gzip) is not read (section 10). */
export function mediaType({ contentType, contentEncoding }: Headers): MediaType | ReplyError {
  if (contentEncoding !== '' && contentEncoding.toLowerCase() !== 'identity') return UNSUPPORTED_MEDIA_TYPE;
  if (contentType === 'application/x-www-form-urlencoded') return 'form';
  const end = contentType.indexOf(';');
  const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  if (type === '' || type === 'application/x-www-form-urlencoded') return 'form';
  return type === 'application/json' ? 'json' : UNSUPPORTED_MEDIA_TYPE;
}

/** The query's parameters, and over them the body's: of each at most `most`. */
export function readParameters(
  query: string,
  type: MediaType,
  body: Buffer,
  most: number,
  read: typeof readJson = readJson,
): Parameters | ReplyError {
  const parameters: Parameters = new Map();
  const inQuery = readForm(query, parameters, most);
  if (inQuery) return unreadable(inQuery, 'the query', 'percent-encoded UTF-8', most);
  if (body.length === 0) return parameters;
  const text = type === 'form' ? textOfForm(body) : textOf(body);
  if (text === null) return badRequest('the body is not UTF-8');
  if (type === 'json') {
    const inJson = read(text, parameters, most);
    return inJson ? unreadable(inJson, 'the body', 'a JSON object of UTF-8 text', most) : parameters;
  }
  const inForm = readPairs(text, parameters, most);
  return inForm ? unreadable(inForm, 'the body', 'percent-encoded UTF-8', most) : parameters;
}

const [PLUS, SPACE, PERCENT, AMPERSAND, EQUALS] = [0x2b, 0x20, 0x25, 0x26, 0x3d];
/** Bytes from here on are no ASCII. */
const BEYOND_ASCII = 0x80;

/** Whether a byte that an escape says means the same where it stands by itself: it divides no form and begins no escape. */
function isPlain(byte: number): boolean {
  return byte < BEYOND_ASCII && byte !== PERCENT && byte !== AMPERSAND && byte !== EQUALS;
}

/**
 * The text of a form's body, with spaces in place of its plus signs, which stand for them, and the ASCII that its escapes say: in bytes
 * that is cheaper than in texts, which V8 would put together of parts. Writes into the body. Null: it is not UTF-8.
 */
function textOfForm(body: Buffer): string | null {
  let at = 0;
  let end = 0;
  let bits = 0;
  for (; at < body.length; at++) {
    let byte = body[at] as number;
    if (byte === PLUS) byte = SPACE;
    else if (byte === PERCENT) {
      const said = digit(body[at + 1] ?? 0) * 16 + digit(body[at + 2] ?? 0);
      // A form with a broken escape is malformed: what is decoded behind that could mend it.
      if (Number.isNaN(said)) break;
      if (isPlain(said)) {
        byte = said;
        at += 2;
      }
    }
    body[end++] = byte;
    bits |= byte;
  }
  if (at < body.length) {
    body.copyWithin(end, at);
    return textOf(body.subarray(0, end + body.length - at));
  }
  return bits < BEYOND_ASCII ? body.toString('latin1', 0, end) : textOf(body.subarray(0, end));
}

/** The text of a body; null: it is not UTF-8. */
function textOf(body: Buffer): string | null {
  if (isAscii(body)) return body.toString('latin1');
  if (!isUtf8(body)) return null;
  const text = body.toString('utf8');
  // .NET's StreamWriter puts a byte order mark in front.
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

function unreadable(fault: Fault, where: string, form: string, most: number): ReplyError {
  return badRequest(fault === 'tooMany' ? `${where} has more than ${most} parameters` : `${where} is not ${form}`);
}

/** A path segment, percent-decoded; null where it is not UTF-8. */
export function decodeSegment(segment: string): string | null {
  if (segment.includes('\ufffd')) return null;
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
