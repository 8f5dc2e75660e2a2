/** Has things forgotten of a domain's history: in a cluster on every node, each of which has a part, and of nodes that have gone. */
import { type ReplyError, UNAVAILABLE } from '../errors.js';
import type { Address } from './address.js';
import type { Domain } from './domain.js';
import type { History } from './history.js';

/** A message of a conversation; a conversation, where `id` is null; all of somebody's, where `other` is null too. */
export type Forgotten = readonly [user: Address, other: Address | null, id: string | null];

/**
 * `done` gets the short id of whoever has sent the message (null: none was asked for, or there is none), or that a node has not
 * answered, so that it may have what is to be forgotten.
 */
export function forget(domain: Domain, what: Forgotten, done: (author: string | ReplyError | null) => void): void {
  forgetHere(domain, what, (here) => {
    domain.cluster.forget(what, (answers) => {
      if (!answers.every(Array.isArray)) return done(UNAVAILABLE);
      const authors = [here, ...answers.map(([author]) => author as unknown)];
      done(authors.find((author) => typeof author === 'string') ?? null);
    });
  });
}

/** The same for what is this node's to forget. */
function forgetHere(domain: Domain, [user, other, id]: Forgotten, done: (author: string | null) => void): void {
  const { history, cluster } = domain;
  if (!history) return done(null);
  const parts = [
    history,
    ...[...history.nodes()].filter((node) => cluster.succeeds(node)).map((node) => history.partOf(node)),
  ];
  if (other === null) return forgetAll(parts, user, () => done(null));
  if (id === null) for (const part of parts) part.forgetConversation(user, other);
  const authors = id === null ? [] : parts.map((part) => part.forgetMessage(user, other, id));
  done(authors.find((author) => author !== null) ?? null);
}

/** A turn for some of them, so that somebody with many conversations holds nobody up. */
function forgetAll(parts: readonly History[], user: Address, done: () => void): void {
  const left = parts.filter((part) => part.forgetSome(user));
  if (left.length > 0) setImmediate(() => forgetAll(left, user, done));
  else done();
}

/** Another node asks for it. Answers a list of whoever has sent the message; null: nothing was forgotten. */
export function answerForget(
  domain: Domain | undefined,
  fields: readonly unknown[],
  reply: (answer: readonly [author: string | null] | null) => void,
): void {
  const what = readForgotten(fields);
  if (domain && what) forgetHere(domain, what, (author) => reply([author]));
  else reply(null);
}

/** What another node says is to be forgotten; null: it is nothing of the kind. */
function readForgotten(fields: readonly unknown[]): Forgotten | null {
  const [user, other = null, id = null] = fields;
  const isTextOrNull = (value: unknown): boolean => value === null || typeof value === 'string';
  if (typeof user !== 'string' || !isTextOrNull(other) || !isTextOrNull(id)) return null;
  return [user as Address, other as Address | null, id as string | null];
}
