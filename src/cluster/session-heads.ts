/** The head of an MQTT session in JetStream, and the keys of a session's records (session-records.ts). */
import { part } from '../store/keys.js';
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

export function parse(data: string, revision: number): FoundSession | null {
  try {
    const [, clientId, node, incarnation, stamp, subscribed, state] = JSON.parse(data) as unknown[];
    const texts = [clientId, node, state].every((one) => typeof one === 'string');
    if (!texts || ![incarnation, stamp, subscribed].every(Number.isFinite)) return null;
    return { revision, clientId, node, incarnation, stamp, subscribed, state } as FoundSession;
  } catch {
    return null;
  }
}
