/** One call of the server: an attempt with a timeout, and more of them where a repeat changes nothing. */
import { NexTalkError } from './error.js';
import type { Clock } from './types.js';

export type Parameters = readonly (readonly [name: string, value: string])[];

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below the server's address. */
  readonly path: string;
  readonly parameters: Parameters;
  /** Sent as JSON in place of the parameters. */
  readonly json?: unknown;
  /** Whether a repeat after an attempt of which nobody knows the end changes nothing. */
  readonly repeatable: boolean;
  /** That the ticket is gone is success, where an earlier attempt may have ended it. */
  readonly ends?: boolean;
}

export interface Transport {
  readonly server: string;
  readonly authorization: string;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly clock: Clock;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  random: () => Math.random(),
};

const FIRST_PAUSE_MS = 250;
/** Before a connection stands nothing has been sent. */
const UNSENT: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

export type Answer = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Answer {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Seconds from Retry-After, which is a number or a date. */
function retryAfterOf(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - now) / 1000));
}

function refusal(response: Response, text: string, now: number): NexTalkError {
  const body = parsed(text);
  const retryAfter = retryAfterOf(response.headers.get('retry-after'), now);
  const more = retryAfter === undefined ? {} : { retryAfter };
  const message = isObject(body) ? textOf(body.message) : undefined;
  if (!isObject(body) || message === undefined) {
    return new NexTalkError(response.status, 'unexpected answer', undefined, more);
  }
  return new NexTalkError(response.status, message, textOf(body.detail), more);
}

function failure(error: unknown, timedOut: boolean): NexTalkError {
  if (timedOut) return new NexTalkError(0, 'timeout', undefined, { cause: error });
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = isObject(cause) ? textOf(cause.code) : undefined;
  const detail = code ?? (cause instanceof Error ? cause.message : String(cause));
  return new NexTalkError(0, 'connection failed', detail, { cause: error });
}

function requestOf(transport: Transport, call: Call): [url: string, init: RequestInit] {
  const { method, path, parameters, json } = call;
  const headers: Record<string, string> = {
    accept: 'application/json',
    authorization: transport.authorization,
    'user-agent': 'nextalk-site-node',
  };
  const form = new URLSearchParams(parameters.map(([name, value]): [string, string] => [name, value]));
  const url = transport.server + path;
  // Not followed: a redirect would carry the API key to an address that nobody configured.
  const init: RequestInit = { method, headers, redirect: 'manual' };
  if (json !== undefined) {
    headers['content-type'] = 'application/json';
    return [url, { ...init, body: JSON.stringify(json) }];
  }
  return method === 'POST' ? [url, { ...init, body: form }] : [`${url}?${form}`, init];
}

async function attempt(transport: Transport, call: Call): Promise<Answer | NexTalkError> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), transport.timeoutMs);
  try {
    const [url, init] = requestOf(transport, call);
    const response = await fetch(url, { ...init, signal: controller.signal });
    const text = await response.text();
    const body = response.ok ? parsed(text) : undefined;
    return isObject(body) ? body : refusal(response, text, transport.clock.now());
  } catch (error) {
    return failure(error, controller.signal.aborted);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether another attempt may help and does no harm. */
function isWorthRepeating(call: Call, { status, detail }: NexTalkError): boolean {
  // The server did nothing: it refused, or was never reached.
  if (status === 429 || status === 503 || (status === 0 && UNSENT.has(detail))) return true;
  return call.repeatable && (status === 0 || status === 408 || status >= 500);
}

export async function perform(transport: Transport, call: Call): Promise<Answer> {
  const { clock, retries, timeoutMs } = transport;
  let uncertain = false;
  for (let repeats = 0; ; repeats++) {
    const result = await attempt(transport, call);
    if (!(result instanceof NexTalkError)) return result;
    if (uncertain && call.ends && result.status === 404) return {};
    uncertain ||= result.status === 0 || result.status >= 500;
    const askedMs = (result.retryAfter ?? 0) * 1000;
    if (repeats >= retries || askedMs > timeoutMs || !isWorthRepeating(call, result)) throw result;
    await clock.sleep(Math.round(askedMs + FIRST_PAUSE_MS * 2 ** repeats * (0.5 + clock.random())));
  }
}
