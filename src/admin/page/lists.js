/** Lists that are asked for while they are looked at: domains, rooms, errors. */
import { api, byId, clock, count, endpointLink, fill, h, table } from './dom.js';

/** Calls `ask` now and again and again, while it is to. A failure waits for the next time. */
export class Repeat {
  #timer = null;

  constructor(everyMs, ask) {
    this.everyMs = everyMs;
    this.ask = ask;
  }

  run(isWanted) {
    clearInterval(this.#timer);
    this.#timer = null;
    if (!isWanted) return;
    const once = () => {
      if (!document.hidden) this.ask().catch(() => undefined);
    };
    once();
    this.#timer = setInterval(once, this.everyMs);
  }
}

/** Says which workers gave no answer, and so have no part in what is shown. */
export function missingNote(notCounted = []) {
  if (notCounted.length === 0) return null;
  return h('p', { class: 'problem' }, `Without ${notCounted.join(', ')}, which gave no answer.`);
}

/** The last part of an address, as one would type it; what is no address stays. */
export function shortId(domain, endpoint) {
  const start = `/domain/${domain}/`;
  if (!endpoint.startsWith(start)) return endpoint;
  const [node, id] = endpoint.slice(start.length).split('/');
  return node === 'uid' ? id : `${node}:${id}`;
}

const WORDS = new Map([
  ['offline', 'nobody there to receive it'],
  ['queueOverflow', 'does not read; its queue is full'],
  ['clientGone', 'the client it waited for has ended'],
  ['deleted', 'its sender deleted it while it waited'],
  ['webhookFailed', 'the site did not take it'],
  ['quotaExceeded', 'over a limit'],
  ['packetTooLarge', 'larger than the client accepts'],
  ['notAuthorized', 'may not publish there'],
  ['malformed', 'no message'],
  ['authenticationFailed', 'a wrong API key, or none'],
  ['lockedOut', 'too many wrong API keys from there'],
  ['tooManyRequests', 'more calls than its limit'],
  ['tooManyConnections', 'more connections than an address may have'],
  ['ticketNotFound', 'unknown or expired ticket'],
  ['crash', 'an actor failed: a bug, see the log'],
]);

function reasonTag(reason) {
  return h('span', { class: reason === 'crash' ? 'tag bad' : 'tag warn' }, reason);
}

export function errorTable(errors) {
  if (errors.length === 0) return h('div', { class: 'empty' }, 'Nothing.');
  const rows = errors.map(({ at, reason, detail, count: times, node }) =>
    h(
      'tr',
      {},
      h('td', { class: 'time' }, clock(at)),
      h('td', {}, reasonTag(reason)),
      h('td', { class: 'quiet' }, detail || (WORDS.get(reason) ?? '')),
      h('td', { class: 'quiet optional' }, node ? `on ${node}` : ''),
      h('td', { class: 'number' }, times > 1 ? `${count(times)} times` : ''),
    ),
  );
  const heads = [{ text: 'Latest' }, { text: 'Reason' }, { text: '' }, { text: '', optional: true }];
  return table([...heads, { text: '', number: true }], rows);
}

/** A link to an endpoint; a network address is none. */
function nameOf(domain, one) {
  return one.startsWith('/domain/') ? endpointLink(domain, shortId(domain, one)) : h('span', {}, one);
}

function summaryTable(errors) {
  if (errors.length === 0) return h('div', { class: 'empty' }, 'Nothing.');
  const rows = errors.map(({ at, domain, reason, detail, count: times, endpoints }) =>
    h(
      'tr',
      {},
      h('td', { class: 'time' }, clock(at)),
      h('td', {}, reasonTag(reason)),
      h('td', { class: 'number' }, count(times)),
      h('td', { class: 'quiet optional' }, domain),
      h('td', {}, h('span', { class: 'links' }, ...endpoints.map((one) => nameOf(domain, one)))),
      h('td', { class: 'quiet optional' }, detail || (WORDS.get(reason) ?? '')),
    ),
  );
  const heads = [{ text: 'Latest' }, { text: 'Reason' }, { text: 'Times', number: true }];
  return table([...heads, { text: 'Domain', optional: true }, { text: 'Of' }, { text: '', optional: true }], rows);
}

export class ErrorList {
  #repeat;

  constructor(parent) {
    this.#repeat = new Repeat(3000, async () => {
      const { errors, notCounted } = await api('api/errors');
      fill(parent, errors, summaryTable(errors));
      fill(byId('errors-missing'), notCounted, missingNote(notCounted));
    });
  }

  run(isWanted) {
    this.#repeat.run(isWanted);
  }
}

function meter(share) {
  const bar = h('span', { class: 'meter-fill' });
  bar.style.width = `${Math.max(1, share * 100)}%`;
  return h('td', { class: 'meter' }, bar);
}

function roomTable({ rooms }) {
  if (rooms.length === 0) return h('div', { class: 'empty' }, 'No room has members.');
  const rows = rooms.map(({ domain, room, members }) =>
    h(
      'tr',
      {},
      h('td', {}, endpointLink(domain, `gid:${room}`, { text: room })),
      h('td', { class: 'quiet break' }, domain),
      meter(members / rooms[0].members),
      h('td', { class: 'number' }, count(members)),
    ),
  );
  return table([{ text: 'Room' }, { text: 'Domain' }, { text: '' }, { text: 'Members', number: true }], rows);
}

export class SizeLists {
  #repeat = new Repeat(5000, async () => {
    const rooms = await api('api/rooms?limit=25');
    byId('rooms-total').textContent = `${count(rooms.total)} in all`;
    fill(byId('rooms'), rooms, roomTable(rooms));
    fill(byId('rooms-missing'), rooms.notCounted ?? [], missingNote(rooms.notCounted ?? []));
  });

  run(isWanted) {
    this.#repeat.run(isWanted);
  }
}
