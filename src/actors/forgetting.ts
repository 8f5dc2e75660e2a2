/** Forgets messages of a domain's history on every node of a cluster, and in the parts that nodes which are gone have left. */
import { type ReplyError, UNAVAILABLE } from '../errors.js';
import { Fifo } from '../fifo.js';
import { type Address, isOfDomain, isRoom } from './address.js';
import {
  type Deletion,
  deleteForSiteHere,
  deleteWaiting,
  deletionGivenUp,
  type ForSite,
  isMessage,
  type MessageDeletion,
  sidesOf,
} from './deletions.js';
import type { Domain } from './domain.js';
import type { History } from './history.js';
import type { Packet } from './packet.js';

/** What to forget: one message; a whole conversation, where `id` is null; all of a user's, where `other` is null too. */
export type Forgotten = readonly [user: Address, other: Address | null, id: string | null];

type Done = (author: string | ReplyError | null) => void;

function isRefusal(author: string | ReplyError | null): author is ReplyError {
  return author !== null && typeof author !== 'string';
}

/**
 * Forgets on all nodes. `done` gets the short id of the message's sender (null: no single message was asked for, or none was
 * found), or UNAVAILABLE where a node has not answered and so may still have what was to be forgotten.
 */
export function forget(domain: Domain, what: Forgotten, done: Done): void {
  forgetHeld(domain, what, (isDone) => {
    if (!isDone) return done(UNAVAILABLE);
    forgetHere(domain, what, (here) => {
      if (isRefusal(here)) return done(here);
      domain.cluster.forget(what, (answers) => {
        if (!answers.every(Array.isArray)) return done(UNAVAILABLE);
        const authors = [here, ...answers.map(([author]) => author as unknown)];
        done(authors.find((author) => typeof author === 'string') ?? null);
      });
    });
  });
}

/**
 * Forgets what nodes that are gone have left of a conversation, or of all that a user has said, for endpoints and MQTT sessions that no
 * node has taken over yet. A single message is looked for where the status goes that tells of its end, and by `forgetInLeftSessions`.
 */
function forgetHeld(domain: Domain, what: Forgotten, done: (isDone: boolean) => void): void {
  const { held, sessions } = domain.cluster;
  const [, , id] = what;
  if (id !== null) return done(true);
  const deletion = deletionOf(domain, what);
  const isForgotten = (isDone: boolean): void => {
    if (isDone) sessions.deleteLeft(deletion, done);
    else done(false);
  };
  if (held) held.forget(sidesOf(domain, deletion), isMessage(deletion), isForgotten);
  else isForgotten(true);
}

/**
 * A status that deletes a message has been dispatched. MQTT sessions of nodes that are gone, which no node has taken over yet, do not get
 * it: the message is taken out of what is kept of them, and then, on every node, out of those that were being taken over meanwhile.
 */
export function forgetInLeftSessions(domain: Domain, { sender, topic }: Packet, deletion: MessageDeletion): void {
  const { cluster } = domain;
  if (sender === null || !cluster.sessions.mayBeLeft) return;
  const what: ForSite = [null, sender, topic, deletion.id, deletion.bySite, true];
  const isTaken = afterOthers(domain, (end) => {
    cluster.sessions.deleteLeft(deletion, (isDone) => {
      if (!isDone) deletionGivenUp(domain);
      deleteForSiteHere(domain, what, end);
      cluster.forget(what, () => undefined);
    });
  });
  if (!isTaken) deletionGivenUp(domain);
}

/**
 * Forgets in this node's part of the history, and in parts of nodes that have gone and that this node takes care of. What is a whole
 * conversation, or all of a user's, is taken out of all that waits here, too; one message is by the status that tells of its end.
 */
function forgetHere(domain: Domain, what: Forgotten, done: Done): void {
  const [, , id] = what;
  if (id !== null) return forgetKept(domain, what, done);
  const isTaken = afterOthers(domain, (end) => {
    const finish: Done = (author) => {
      end();
      done(author);
    };
    deleteWaiting(domain, deletionOf(domain, what), (isDone) => {
      if (isDone) forgetKept(domain, what, finish);
      else finish(UNAVAILABLE);
    });
  });
  if (!isTaken) done(UNAVAILABLE);
}

/** How many deletions and other tasks of one domain wait at most. Beyond that a task is refused, and its caller gets UNAVAILABLE. */
export const MOST_TASKS = 1000;

/** Tasks of domains that wait until the task before them has ended; the first of each list is under way. */
const tasks = new WeakMap<Domain, Fifo<(end: () => void) => void>>();

/**
 * Runs a domain's tasks one after another: each does some pieces of work in a turn of the event loop, and many at once would hold it up.
 * False where too many wait, and this one is refused.
 */
function afterOthers(domain: Domain, task: (end: () => void) => void): boolean {
  const waiting = tasks.get(domain) ?? new Fifo();
  tasks.set(domain, waiting);
  if (waiting.length >= MOST_TASKS) return false;
  const end = (): void => {
    waiting.shift();
    waiting.first?.(end);
  };
  waiting.push(task);
  if (waiting.length === 1) task(end);
  return true;
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
  const what = domain && readForgotten(domain, fields);
  const forSite = domain && readForSite(domain, fields);
  if (forSite) deleteForSiteHere(domain, forSite, () => reply([null]));
  else if (what) forgetHere(domain, what, (author) => reply(isRefusal(author) ? null : [author]));
  else reply(null);
}

/** Reads another node's request to forget; null: its fields are not valid. */
function readForgotten({ name }: Domain, fields: readonly unknown[]): Forgotten | null {
  const [user, other = null, id = null] = fields;
  if (!isOfDomain(name, user) || !(other === null || isOfDomain(name, other))) return null;
  return id === null || typeof id === 'string' ? [user, other, id] : null;
}

/** Reads another node's request to take a deleted message out of what waits for the site; null: it is another request, or not valid. */
function readForSite({ name }: Domain, fields: readonly unknown[]): ForSite | null {
  const [marker, sender, to, id, bySite, isLate] = fields;
  if (marker !== null || !isOfDomain(name, sender) || !isOfDomain(name, to) || typeof id !== 'string') return null;
  return [null, sender, to, id, bySite === true, isLate === true];
}
