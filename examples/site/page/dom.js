/** A few lines to build and update the page. Whatever people wrote goes in as text nodes, never as HTML. */

const SVG = 'http://www.w3.org/2000/svg';

export function find(id) {
  return document.getElementById(id);
}

/** An element: attributes, listeners (`onclick`), and children (elements or text). */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** One of the icons that index.html draws. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Makes the children of `parent` those of `items`, in order, keeping the elements (and the focus) of those that stay. */
export function arrange(parent, items, { key, create, update }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = known.get(name);
    known.delete(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    update?.(child, item);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const child of known.values()) child.remove();
}

const COLOURS = 10;

/** FNV-1a, with its upper half folded in: short names that differ little get different colours. */
function colourOf(id) {
  let hash = 0x811c9dc5;
  for (const char of id) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % COLOURS;
}

/** A person's avatar, or a room's (its id is given with a `#`): initials on a colour that stays theirs. */
export function avatar(id, name, show) {
  const letters = [...name.trim()];
  const words = name.trim().split(/\s+/u);
  const initials = words.length > 1 ? [...words[0]][0] + [...words.at(-1)][0] : letters.slice(0, 1).join('');
  const look = `avatar tint-${colourOf(id)}${id.startsWith('#') ? ' square' : ''}`;
  const element = el('span', { class: look, 'aria-hidden': 'true' }, initials.toUpperCase());
  if (show) element.append(el('span', { class: 'dot', 'data-show': show }));
  return element;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

export function clockTime(time) {
  return clock.format(time);
}

export function dayName(time) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (time >= midnight) return 'Today';
  if (time >= midnight - 86_400_000) return 'Yesterday';
  return day.format(time);
}

export const SHOW_NAMES = new Map([
  ['available', 'Available'],
  ['chat', 'Free to chat'],
  ['away', 'Away'],
  ['dnd', 'Do not disturb'],
  ['busy', 'Busy'],
  ['invisible', 'Invisible'],
  ['unavailable', 'Offline'],
]);
