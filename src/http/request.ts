/** Reading a request: its path, its body up to the limit, its parameters. */
import { Buffer } from 'node:buffer';
import { badRequest, type ReplyError, UNSUPPORTED_MEDIA_TYPE } from '../errors.js';
import type { Context } from '../protocols/context.js';
import { readForm, readFormBody } from '../protocols/form.js';
import type { Headers } from '../protocols/headers.js';
import { type Fault, Parameters, readJson, textOf } from '../protocols/parameters.js';
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

/** Reads the whole body; `done` is called once, with null where the body is too large, unless the connection ends first. */
export function readBody<U extends Uploader>(
  context: Context,
  res: HttpResponse,
  limitBytes: number,
  uploader: U,
  done: (uploader: U, body: Buffer | null) => void,
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
      done(uploader, null);
      return;
    }
    if (isWhole) return done(uploader, Buffer.from(chunk));
    uploader.upload ??= new Upload(context, res);
    uploader.upload.add(chunk);
    if (isLast && !uploader.upload.isDropped) done(uploader, uploader.upload.end());
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
  const parameters = new Parameters();
  const inQuery = readForm(query, parameters, most);
  if (inQuery) return unreadable(inQuery, 'the query', 'percent-encoded UTF-8', most);
  if (body.length === 0) return parameters;
  if (type === 'form') {
    const inForm = readFormBody(body, parameters, most);
    if (inForm === 'read') return parameters;
    return inForm ? unreadable(inForm, 'the body', 'percent-encoded UTF-8', most) : NOT_UTF8;
  }
  const text = textOf(body);
  if (text === null) return NOT_UTF8;
  const inJson = read(text, parameters, most);
  return inJson ? unreadable(inJson, 'the body', 'a JSON object of UTF-8 text', most) : parameters;
}

const NOT_UTF8 = badRequest('the body is not UTF-8');

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
