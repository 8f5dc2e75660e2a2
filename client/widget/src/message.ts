/** One message as an element. What its sender wrote becomes text, links and, where the page allows it, an image. */
import { avatar, type Context } from './context.js';
import type { Conversation } from './conversation.js';
import { h } from './dom.js';
import type { Line, Outcome } from './line.js';
import { httpUrl, isEmoji, pieces, shownImage } from './text.js';

/** How a message stands among its neighbours. */
export interface Place {
  /** First of a group of messages of one sender. */
  readonly isHead: boolean;
  /** Last of such a group. */
  readonly isTail: boolean;
}

const GROUP_MS = 300_000;
const DAY_MS = 86_400_000;

/** The number of a day, by the reader's clock. */
export function dayOf(at: number): number {
  return Math.floor((at - new Date(at).getTimezoneOffset() * 60_000) / DAY_MS);
}

export function isTogether(one: Line | undefined, other: Line | undefined): boolean {
  if (!one || !other || one.from !== other.from || one.isMine !== other.isMine) return false;
  return Math.abs(other.at - one.at) < GROUP_MS && dayOf(one.at) === dayOf(other.at);
}

/** Outcomes that are told below the message wherever it stands. */
const TOLD: ReadonlySet<Outcome | null> = new Set<Outcome | null>(['sending', 'queued', 'stored', 'dropped', 'failed']);

export function signatureOf(line: Line, place: Place): string {
  return `${place.isHead} ${place.isTail} ${line.outcome} ${line.reason} ${line.body.length} ${line.nick}`;
}

function link(url: string, text: string): HTMLElement {
  return h('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow ugc' }, text);
}

function words(body: string): HTMLElement {
  const bubble = h('div', { class: isEmoji(body) ? 'bubble emoji' : 'bubble', dir: 'auto' });
  for (const { text, url } of pieces(body)) bubble.append(url === null ? text : link(url, text));
  return bubble;
}

/** An image of a host that the page trusts; any other is a link, which tells nobody who looks. */
function picture({ image, body }: Line, { imageHosts, speech }: Context): HTMLElement | null {
  if (image === null) return null;
  const shown = shownImage(image, imageHosts);
  const url = httpUrl(image);
  if (!url) return null;
  if (shown === null) return h('div', { class: 'bubble', dir: 'ltr' }, link(url.href, image));
  const frame = link(shown, '');
  const img = h('img', {
    alt: body || speech.say('image'),
    loading: 'lazy',
    decoding: 'async',
    referrerpolicy: 'no-referrer',
    onerror: () => {
      frame.className = 'bubble';
      frame.textContent = shown;
    },
  });
  img.src = shown;
  frame.className = 'picture';
  frame.append(img);
  return frame;
}

function fate(line: Line, place: Place, conversation: Conversation, context: Context): HTMLElement | null {
  const { speech, model } = context;
  if (!place.isTail && !TOLD.has(line.outcome)) return null;
  const time = h('time', { datetime: new Date(line.at).toISOString() }, speech.time(line.at));
  const { outcome } = line;
  // In a room, that some have it says little.
  const isSaid = outcome !== null && !(conversation.isRoom && (outcome === 'read' || outcome === 'delivered'));
  const foot = h('div', { class: 'foot' }, time);
  if (!isSaid) return foot;
  foot.append(h('span', { class: 'outcome' }, speech.say(outcome, { name: model.nameOf(conversation.id) })));
  if (outcome !== 'failed' && outcome !== 'dropped') return foot;
  foot.classList.add('bad');
  if (line.reason) foot.append(h('bdi', { class: 'reason' }, line.reason));
  foot.append(
    h('button', { type: 'button', class: 'text', onclick: () => model.retry(conversation, line) }, speech.say('retry')),
  );
  return foot;
}

export function messageElement(line: Line, place: Place, conversation: Conversation, context: Context): HTMLElement {
  const { speech, model } = context;
  const name = line.isMine ? speech.say('you') : line.nick || model.nameOf(line.from);
  const isFaced = conversation.isRoom && !line.isMine;
  const isWordless = line.image !== null && (line.body === '' || line.body === line.image);
  return h(
    'div',
    {
      class: [
        'line',
        line.isMine ? 'mine' : 'theirs',
        place.isHead && 'head',
        place.isTail && 'tail',
        isFaced && 'faced',
      ]
        .filter(Boolean)
        .join(' '),
    },
    isFaced && place.isHead && avatar(line.from, name, null),
    h(
      'div',
      { class: 'content' },
      place.isHead && h('div', { class: isFaced ? 'by' : 'by quiet' }, h('bdi', {}, name)),
      picture(line, context),
      !isWordless && words(line.body),
      fate(line, place, conversation, context),
    ),
  );
}
