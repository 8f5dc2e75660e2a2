/** Elements and numbers. What users have named is put in as text only, never as markup. */

/** `h('td', { class: 'number' }, 'text', element)`; null children are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Draws a table again only where it has changed, so that a selection in it stays. */
export function fill(parent, key, ...children) {
  const text = JSON.stringify(key);
  if (parent.dataset.key === text) return;
  parent.dataset.key = text;
  parent.replaceChildren(...children.filter((child) => child !== null));
}

/** How long ago something was, which goes on while it is shown. */
export function age(at) {
  return h('span', { 'data-at': at }, span(Date.now() - at));
}

export function growOlder(parent) {
  for (const element of parent.querySelectorAll('[data-at]')) {
    const text = span(Date.now() - Number(element.dataset.at));
    if (element.textContent !== text) element.textContent = text;
  }
}

export function table(heads, rows) {
  const head = heads.map(({ text, number, optional }) =>
    h('th', { class: [number && 'number', optional && 'optional'].filter(Boolean).join(' ') || null }, text),
  );
  return h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows));
}

export function endpointLink(domain, id, { text = id, look = 'link' } = {}) {
  return h('a', { class: look, href: `#endpoint?${new URLSearchParams({ domain, id })}` }, text);
}

const whole = new Intl.NumberFormat('en');

export function count(value) {
  if (value >= 10_000_000) return `${(value / 1e6).toFixed(0)}M`;
  if (value >= 1_000_000) return `${(value / 1e6).toFixed(1)}M`;
  return whole.format(Math.round(value));
}

/** Of so many a second. */
export function rate(value) {
  if (value >= 1_000_000) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 100_000) return `${(value / 1e3).toFixed(0)}k`;
  return value >= 10 || Number.isInteger(value) ? whole.format(Math.round(value)) : value.toFixed(1);
}

/** Milliseconds, with a unit. */
export function duration(ms) {
  if (ms === 0) return '0';
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 1000) return `${Number(ms.toPrecision(ms < 10 ? 2 : 3))} ms`;
  return `${Number((ms / 1000).toPrecision(3))} s`;
}

export function bytes(value) {
  if (value === 0) return '0';
  if (value >= 1024 ** 3) return `${(value / 1024 ** 3).toFixed(2)} GiB`;
  if (value >= 1024 ** 2) return `${(value / 1024 ** 2).toFixed(0)} MiB`;
  return `${(value / 1024).toFixed(0)} KiB`;
}

export function percent(share) {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)}%`;
}

export function clock(at, withMs = false) {
  const date = new Date(at);
  const two = (n) => String(n).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return withMs ? `${time}.${String(date.getMilliseconds()).padStart(3, '0')}` : time;
}

/** A span of time in words: `3 d 4 h`. */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  const hours = Math.floor(seconds / 3600);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** JSON of the admin port; throws with its message where it refuses. */
export async function api(path, method = 'GET') {
  const response = await fetch(path, { method });
  if (response.status === 401) location.assign('login');
  const body = await response.json();
  if (!response.ok) throw new Error(body.message ?? `status ${response.status}`);
  return body;
}
