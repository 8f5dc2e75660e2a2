/** Forgets messages of a domain's history on every node of a cluster, and in the parts that nodes which are gone have left. */
import { type ReplyError, UNAVAILABLE } from '../errors.js';
import { type Address, isRoom } from './address.js';
import { type Deletion, deleteForSiteHere, deleteWaiting, type ForSite } from './deletions.js';
import type { Domain } from './domain.js';
import type { History } from './history.js';

/** What to forget: one message; a whole conversation, where `id` is null; all of a user's, where `other` is null too. */
export type Forgotten = readonly [user: Address, other: Address | null, id: string | null];

/**
 * Forgets on all nodes. `done` gets the short id of the message's sender (null: no single message was asked for, or none was
 * found), or UNAVAILABLE where a node has not answered and so may still have what was to be forgotten.
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

/**
 * Forgets in this node's part of the history, and in parts of nodes that have gone and that this node takes care of. What is a whole
 * conversation, or all of a user's, is taken out of all that waits here, too; one message is by the status that tells of its end.
 */
function forgetHere(domain: Domain, what: Forgotten, done: (author: string | null) => void): void {
  const [, , id] = what;
  if (id !== null) return forgetKept(domain, what, done);
  afterOthers(domain, (end) => {
    const finish = (author: string | null): void => {
      end();
      done(author);
    };
    deleteWaiting(domain, deletionOf(domain, what), () => forgetKept(domain, what, finish));
  });
}

/** Tasks of domains that wait until the task before them has ended; the first of each list is under way. */
const tasks = new WeakMap<Domain, ((end: () => void) => void)[]>();

/** Runs a domain's tasks one after another: each does some pieces of work in a turn of the event loop, and many at once would hold it up. */
function afterOthers(domain: Domain, task: (end: () => void) => void): void {
  const waiting = tasks.get(domain) ?? [];
  tasks.set(domain, waiting);
  const end = (): void => {
    waiting.shift();
    waiting[0]?.(end);
  };
  waiting.push(task);
  if (waiting.length === 1) task(end);
}

function deletionOf(domain: Domain, [user, other]: Forgotten): Deletion {
  const isOfRoom = other !== null && isRoom(domain.name, other);
  return { user: domain.shortId(user), other: other && domain.shortId(other), isOfRoom, id: null, bySite: true };
}

function forgetKept(domain: Domain, [user, other, id]: Forgotten, done: (author: string | null) => void): void {
  const { history, cluster, runtime } = domain;
  if (!history) return done(null);
  // The caller is answered only when the removal is on disk, so that no restart brings a forgotten message back.
  const committed = (author: string | null): void => {
    if (runtime.store) runtime.store.committed(() => done(author));
    else done(author);
  };
  const parts = [
    history,
    ...[...history.nodes()].filter((node) => cluster.succeeds(node)).map((node) => history.partOf(node)),
  ];
  if (other === null) return forgetAll(parts, user, () => committed(null));
  if (id === null) for (const part of parts) part.forgetConversation(user, other);
  const authors = id === null ? [] : parts.map((part) => part.forgetMessage(user, other, id));
  committed(authors.find((author) => author !== null) ?? null);
}

/** Forgets all of a user's history, some conversations in each turn of the event loop, so that a user with many delays nobody. */
function forgetAll(parts: readonly History[], user: Address, done: () => void): void {
  const left = parts.filter((part) => part.forgetSome(user));
  if (left.length > 0) setImmediate(() => forgetAll(left, user, done));
  else done();
}

/** Forgets here what another node asks for. `reply` gets a list with the message's sender or null; null: the request is invalid. */
export function answerForget(
  domain: Domain | undefined,
  fields: readonly unknown[],
  reply: (answer: readonly [author: string | null] | null) => void,
): void {
  const what = readForgotten(fields);
  const forSite = domain && readForSite(domain, fields);
  if (forSite) deleteForSiteHere(domain, forSite, () => reply([null]));
  else if (domain && what) forgetHere(domain, what, (author) => reply([author]));
  else reply(null);
}

/** Reads another node's request to forget; null: its fields are not valid. */
function readForgotten(fields: readonly unknown[]): Forgotten | null {
  const [user, other = null, id = null] = fields;
  const isTextOrNull = (value: unknown): boolean => value === null || typeof value === 'string';
  if (typeof user !== 'string' || !isTextOrNull(other) || !isTextOrNull(id)) return null;
  return [user as Address, other as Address | null, id as string | null];
}

/** Reads another node's request to take a deleted message out of what waits for the site; null: it is another request, or not valid. */
function readForSite({ name }: Domain, fields: readonly unknown[]): ForSite | null {
  const [marker, sender, to, id, bySite] = fields;
  const isAddress = (value: unknown): boolean => typeof value === 'string' && value.startsWith(`/domain/${name}/`);
  if (marker !== null || !isAddress(sender) || !isAddress(to) || typeof id !== 'string') return null;
  return [null, sender as Address, to as Address, id, bySite === true];
}
