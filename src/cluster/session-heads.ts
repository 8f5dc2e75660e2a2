/** The head of an MQTT session in JetStream, its publications, and the keys of a session's records (session-records.ts). */
import { damaged } from '../damaged.js';
import { part } from '../store/keys.js';
import type { KeptStream, Record } from './kept-stream.js';
import { word } from './ticket-records.js';

/** The head of a session as it is in JetStream. */
export interface FoundSession {
  readonly revision: number;
  readonly clientId: string;
  readonly node: string;
  readonly incarnation: number;
  /** The stamp of the node's claim of the client id. */
  readonly stamp: number;
  /** The term under which the session's subscriptions are; 0: it has none. */
  readonly subscribed: number;
  readonly state: string;
}

/** The words that stand for a session of a domain in a subject of NATS; a client id may have 64 KiB. */
export function keyOf(domain: string, clientId: string): string {
  return `${word(domain)}.${part(clientId)}`;
}

export function headOf(key: string): string {
  return `h.${key}`;
}

export function subscriptionsOf(key: string, term: number): string {
  return `s.${key}.${term}`;
}

/** A publication of a session as it is in JetStream. */
export interface FoundItem {
  readonly key: string;
  readonly revision: number;
  /** The term of the node that has written it. */
  readonly term: number;
  readonly number: number;
  readonly text: string;
}

/** The publications of a session, ordered by revision: of several with one number the last one counts. Rejects with a JetStreamError. */
export async function itemsOf(stream: Pick<KeptStream, 'readAll'>, key: string): Promise<readonly FoundItem[]> {
  const found = await stream.readAll(`i.${key}.`);
  return found.map(({ key, revision, data: text }) => {
    const [term = 0, number = 0] = key.split('.').slice(-2).map(Number);
    return { key, revision, term, number, text };
  });
}

/** The heads of all sessions of a domain. Rejects with a JetStreamError. */
export async function headsOf(stream: Pick<KeptStream, 'readAll'>, domain: string): Promise<readonly FoundSession[]> {
  const heads = await stream.readAll(`h.${word(domain)}.`);
  return heads.flatMap((head) => parse(head) ?? []);
}

/** The texts of publications by their numbers, in the order of these. */
export function textsOf(items: readonly FoundItem[]): readonly (readonly [number: number, text: string])[] {
  const texts = new Map(items.map(({ number, text }) => [number, text]));
  return [...texts].sort(([a], [b]) => a - b);
}

/** The head of a session by its record; null where that is damaged. */
export function parse({ key, revision, data }: Record & { readonly key: string }): FoundSession | null {
  try {
    const [, clientId, node, incarnation, stamp, subscribed, state] = JSON.parse(data) as unknown[];
    const texts = [clientId, node, state].every((one) => typeof one === 'string');
    if (!texts || ![incarnation, stamp, subscribed].every(Number.isFinite)) return damaged('session', key);
    return { revision, clientId, node, incarnation, stamp, subscribed, state } as FoundSession;
  } catch {
    return damaged('session', key);
  }
}
