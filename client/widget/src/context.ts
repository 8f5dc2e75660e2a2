/** What the parts of the widget share: what is known, in which language, and what a click leads to. */
import { h } from './dom.js';
import type { Model } from './model.js';
import type { Speech, Word } from './strings.js';

export interface Context {
  readonly model: Model;
  readonly speech: Speech;
  /** Hosts of images that are shown. */
  readonly imageHosts: readonly string[];
  now(): number;
  /** Shows a conversation. */
  open(id: string): void;
  /** Back to the list. */
  back(): void;
  /** Closes the panel. */
  close(): void;
}

/** Paths of icons, on a field of 24 by 24. */
export const ICONS = {
  chat: 'M4 4h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H9.5L5 21.5V18H4a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2z',
  close: 'M6.4 5 12 10.6 17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4-5.6-5.6L6.4 19 5 17.6l5.6-5.6L5 6.4z',
  back: 'M15.5 4.5 17 6l-6 6 6 6-1.5 1.5L8 12z',
  down: 'm12 16.5-7-7L6.5 8l5.5 5.5L17.5 8 19 9.5z',
  send: 'M3 20.5v-6.6l9-1.9-9-1.9V3.5L22 12z',
  people:
    'M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zm7.5 0a3 3 0 1 0-1.2-5.7 5 5 0 0 1-.5 5.1c.5.4 1.1.6 1.7.6zM9 13c-3.3 0-7 1.600-7 4.500V19.500h14V17.500C16 14.600 12.300 13 9 13zm7.600.100c1.500 1 2.400 2.500 2.400 4.400v2h3v-2c0-2.600-2.800-4-5.400-4.400z',
  search:
    'M10.500 4a6.500 6.500 0 0 1 5.200 10.400l4.900 4.900-1.400 1.400-4.900-4.900A6.500 6.500 0 1 1 10.500 4zm0 2a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9z',
  check: 'm9.500 17.500-5-5L6 11l3.500 3.500L18 6l1.500 1.500z',
} as const;

const SHOWS = ['available', 'chat', 'away', 'busy', 'dnd', 'invisible'] as const;
/** Each show that a user may choose, with the word for it. */
export const SHOW_WORDS: ReadonlyMap<string, Word> = new Map(
  SHOWS.map((show) => [show, show === 'chat' ? 'chatty' : show] as const),
);

/** Where somebody stands in a list of people, by show. */
export function rankOf(show: string): number {
  const rank = SHOWS.indexOf(show as (typeof SHOWS)[number]);
  return rank < 0 ? SHOWS.length : rank;
}

/** The name of a show (`away`, `dnd`) in the reader's language. A show that is the site's own has no translation and is its own name. */
export function showText(show: string, speech: Speech): string {
  if (show === 'offline' || show === 'unavailable') return speech.say('offline');
  const word = SHOW_WORDS.get(show);
  return word ? speech.say(word) : show;
}

/** A colour of one's own: the same everywhere for one id. */
function hueOf(id: string): number {
  let hash = 0;
  for (let i = 0; i < Math.min(id.length, 64); i++) hash = (hash * 31 + id.charCodeAt(i)) >>> 0;
  return hash % 360;
}

/** A disc with the first letter of a name, and with a dot that tells the show of somebody who is there. */
export function avatar(id: string, name: string, show: string | null): HTMLElement {
  const isRoom = id.startsWith('gid:');
  const letter = isRoom ? '#' : ([...name.trim()][0] ?? '?').toUpperCase();
  const disc = h('span', { class: isRoom ? 'avatar room' : 'avatar', 'aria-hidden': 'true' }, letter);
  disc.style.setProperty('--hue', String(hueOf(id)));
  if (show !== null) disc.append(h('span', { class: 'dot', 'data-show': show }));
  return disc;
}
