/** What is in a message's text: links. Everything else is text. */

export interface Piece {
  readonly text: string;
  /** Where a link leads; null: plain text. */
  readonly url: string | null;
}

/** Links of one message; beyond it addresses are text. */
const LINKS = 100;
const START = /\bhttps?:\/\/|\bwww\.(?=[a-z0-9])/gi;
const END = /[\s<>"`{}|\\^\u0000-\u001f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
/** What closes a sentence and not an address. */
const TRAILING = new Set(".,;:!?'*_~。，；：！？、）》」』");
const PAIRS: ReadonlyMap<string, string> = new Map([
  [')', '('],
  [']', '['],
]);

function count(text: string, character: string): number {
  return text.split(character).length - 1;
}

function trimmed(link: string): string {
  let end = link.length;
  let closing: Map<string, number> | null = null;
  while (end > 0) {
    const last = link[end - 1] as string;
    const opening = PAIRS.get(last);
    if (opening) {
      closing ??= new Map([...PAIRS].map(([close, open]) => [close, count(link, close) - count(link, open)]));
      const surplus = closing.get(last) ?? 0;
      if (surplus <= 0) break;
      closing.set(last, surplus - 1);
    } else if (!TRAILING.has(last)) break;
    end -= 1;
  }
  return link.slice(0, end);
}

/** The address that a text is, where it is one of http or https; else null. */
export function httpUrl(text: string): URL | null {
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url : null;
  } catch {
    return null;
  }
}

/** Cuts a text into links and what is between them. Linear in the text's length. */
export function pieces(text: string): readonly Piece[] {
  const found: Piece[] = [];
  let from = 0;
  let links = 0;
  START.lastIndex = 0;
  for (let match = START.exec(text); match && links < LINKS; match = START.exec(text)) {
    let end = match.index;
    while (end < text.length && !END.test(text[end] as string)) end += 1;
    const link = trimmed(text.slice(match.index, end));
    START.lastIndex = end;
    const url = httpUrl(/^www/i.test(link) ? `https://${link}` : link);
    if (!url?.hostname) continue;
    if (match.index > from) found.push({ text: text.slice(from, match.index), url: null });
    found.push({ text: link, url: url.href });
    from = match.index + link.length;
    links += 1;
  }
  if (from < text.length) found.push({ text: text.slice(from), url: null });
  return found;
}

const EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\ufe0f\s])+$/u;

/** Whether a text is nothing but a few emoji, which are then drawn larger. */
export function isEmoji(text: string): boolean {
  return text.length > 0 && text.length <= 24 && EMOJI.test(text);
}

/** The image's address, where it may be shown: https, from one of `hosts`, and without a name to log in by; else null. */
export function shownImage(image: string, hosts: readonly string[]): string | null {
  const url = httpUrl(image);
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') return null;
  return hosts.includes(url.host) ? url.href : null;
}
