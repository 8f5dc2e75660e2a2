/** The table of cases that the site libraries of all languages share, and what one of them makes of a case. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Json = Readonly<Record<string, unknown>>;

export interface ExpectedRequest {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  readonly parameters?: Json;
  readonly json?: unknown;
}

/** One answer of the server, or what happens in place of one. */
export interface ScriptedAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly text?: string;
  readonly fault?: 'reset' | 'silence' | 'half' | 'cut';
}

/** What a library made of a case: one of both, and for how long it waited between its attempts, in ms. */
export interface Outcome {
  readonly returns?: unknown;
  readonly throws?: unknown;
  readonly waits?: readonly number[];
}

export interface CallCase extends Outcome {
  readonly title: string;
  readonly call: string;
  readonly args: readonly unknown[];
  readonly client?: { readonly server?: 'closed' } & Json;
  readonly requests: readonly ExpectedRequest[];
  readonly answers: readonly ScriptedAnswer[];
  readonly oneConnection?: boolean;
}

export interface TokenCase {
  readonly title: string;
  readonly sub: string | number;
  readonly claims?: Json;
  readonly ttl?: number;
  readonly now: number;
  readonly secret: string | readonly string[];
  readonly token?: string;
  readonly throws?: unknown;
}

export interface WebhookCase {
  readonly title: string;
  readonly secrets?: string | readonly string[];
  readonly body: string;
  readonly signature: string | null;
  readonly genuine: boolean;
}

export interface EventCase extends Outcome {
  readonly title: string;
  readonly call: 'parseEvents' | 'parseMessage';
  readonly body: string;
}

export interface Table {
  readonly client: { readonly domain: string; readonly apiKey: string } & Json;
  readonly calls: readonly CallCase[];
  readonly tokens: readonly TokenCase[];
  readonly webhooks: readonly WebhookCase[];
  readonly events: readonly EventCase[];
}

export const table: Table = JSON.parse(readFileSync(join(import.meta.dirname, '../../sdk/cases.json'), 'utf8'));

/** What a driver is asked: one call of one library, with a client of its own. */
export interface Question {
  readonly client: Json;
  readonly call: string;
  readonly args: readonly unknown[];
}

/** A value with each id that the library made replaced by `$1`, `$2`… in the order in which they were first sent. */
export function withoutMadeIds(value: unknown, made: ReadonlyMap<string, string>): unknown {
  if (typeof value === 'string') return made.get(value) ?? value;
  if (Array.isArray(value)) return value.map((one) => withoutMadeIds(one, made));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutMadeIds(one, made)]));
}
