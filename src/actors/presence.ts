/** The rules of presence: what a change of an endpoint means to the others. PROTOCOL.md section 4. Pure. */

export const SHOWS = ['available', 'away', 'chat', 'dnd', 'busy', 'invisible', 'unavailable'] as const;
export type Show = (typeof SHOWS)[number];

/** How the others see an endpoint; null where they see it offline. */
export interface Appearance {
  readonly show: Show;
  readonly status: string;
}

export function isShow(text: string): text is Show {
  return (SHOWS as readonly string[]).includes(text);
}

/** Nearly all have no status text: these are shared. */
const WITHOUT_STATUS = new Map<Show, Appearance>(SHOWS.map((show) => [show, Object.freeze({ show, status: '' })]));

/** What others see of an online endpoint with this show. `unavailable` is the same to them as `invisible`. */
export function appearance(show: Show, status: string): Appearance | null {
  if (show === 'invisible' || show === 'unavailable') return null;
  return (status === '' && WITHOUT_STATUS.get(show)) || { show, status };
}

/** The presence that a change from one appearance to another sends; null where it sends nothing. */
export function transition(before: Appearance | null, after: Appearance | null): 'online' | 'offline' | 'show' | null {
  if (before === null) return after === null ? null : 'online';
  if (after === null) return 'offline';
  return before.show === after.show && before.status === after.status ? null : 'show';
}
