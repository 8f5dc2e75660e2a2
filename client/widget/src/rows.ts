/** What the list of conversations, rooms and people shows, and in which order. */
import { rankOf } from './context.js';
import type { Model } from './model.js';
import type { Word } from './strings.js';

export type Row =
  | { readonly kind: 'heading'; readonly key: string; readonly word: Word; readonly count: number }
  | { readonly kind: 'conversation' | 'room' | 'person'; readonly key: string; readonly id: string };

export const HEIGHTS: Readonly<Record<Row['kind'], number>> = { heading: 32, conversation: 56, room: 44, person: 44 };

function section(word: Word, kind: 'conversation' | 'room' | 'person', ids: readonly string[]): readonly Row[] {
  if (ids.length === 0) return [];
  return [
    { kind: 'heading', key: `heading ${word}`, word, count: ids.length },
    ...ids.map((id): Row => ({ kind, key: id, id })),
  ];
}

/** People by presence, then by name. */
export function byPresence(model: Model, ids: readonly string[], language: string): readonly string[] {
  const { compare } = collator(language);
  const known = ids.map((id) => ({ id, name: model.nameOf(id), rank: rankOf(model.personOf(id)?.show ?? 'offline') }));
  known.sort((one, other) => one.rank - other.rank || compare(one.name, other.name));
  return known.map(({ id }) => id);
}

function collator(language: string): Intl.Collator {
  try {
    return new Intl.Collator(language, { sensitivity: 'base', numeric: true });
  } catch {
    return new Intl.Collator();
  }
}

/** Everybody once: who is among the conversations is not repeated below. */
export function rowsOf(model: Model, query: string, language: string): readonly Row[] {
  const words = query.trim().toLocaleLowerCase();
  const isFound = (id: string): boolean =>
    words === '' || model.nameOf(id).toLocaleLowerCase().includes(words) || id.toLocaleLowerCase().includes(words);
  const talks = [...model.conversations.values()]
    .filter(({ last, unread, id }) => (last !== null || unread > 0) && isFound(id))
    .sort((one, other) => (other.last?.at ?? 0) - (one.last?.at ?? 0))
    .map(({ id }) => id);
  const shown = new Set(talks);
  const rooms = [...model.chat.rooms.keys()].map((room) => `gid:${room}`).filter((id) => !shown.has(id) && isFound(id));
  const people = new Set(model.chat.presences.keys());
  // Whoever looks for somebody finds members of the user's rooms, too.
  if (words !== '') for (const members of model.chat.rooms.values()) for (const id of members.keys()) people.add(id);
  const others = [...people].filter((id) => id !== model.self && !shown.has(id) && isFound(id));
  return [
    ...section('conversations', 'conversation', talks),
    ...section('rooms', 'room', rooms.sort()),
    ...section('people', 'person', byPresence(model, others, language)),
  ];
}
