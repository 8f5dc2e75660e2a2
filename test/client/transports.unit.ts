/** Server-sent events and long polls of the browser library, with requests that the test answers. */
import t from 'tap';
import { EventParser } from '../../client/src/events.js';
import { FakePlatform, settle, Visit } from '../support/fake-platform.js';

const streamType = { 'content-type': 'text/event-stream; charset=utf-8' };

function message(id: string): object {
  return { id, from: 'anna', to: 'jack', nick: 'anna', type: 'chat', body: id, timestamp: '1', style: '' };
}

function frame(parts: object = {}): object {
  return { status: 'ok', messages: [], presences: [], statuses: [], ...parts };
}

/** A stream of events whose text comes piece by piece. */
class Stream {
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor() {
    this.body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
    });
  }

  async say(text: string): Promise<void> {
    this.#controller?.enqueue(new TextEncoder().encode(text));
    await settle();
  }

  async end(): Promise<void> {
    this.#controller?.close();
    await settle();
  }
}

async function onEvents(): Promise<{ visit: Visit; platform: FakePlatform; stream: Stream }> {
  const platform = new FakePlatform();
  const visit = new Visit(platform, { transports: ['events', 'poll'] });
  await visit.come();
  const stream = new Stream();
  platform.request('/v5/events').answer(200, stream.body, streamType);
  await settle();
  return { visit, platform, stream };
}

t.test('the text of an event stream is taken apart as EventSource does, however it is cut', async (t) => {
  const text =
    ': comment\r\nretry: 700\ndata: one\nid: 7.1\n\nevent: ping\ndata: {}\n\ndata:two\ndata:  three\n\nid: 9\n\ndata: 😀\n\n';
  const expected = [
    { type: 'message', data: 'one', id: '7.1' },
    { type: 'ping', data: '{}', id: null },
    { type: 'message', data: 'two\n three', id: null },
    { type: 'message', data: '😀', id: null },
  ];
  for (let size = 1; size < text.length; size += 3) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    t.strictSame(events, expected, `in pieces of ${size}`);
    t.equal(parser.retryMs, 700);
  }
  const endless = new EventParser();
  const piece = 'x'.repeat(1024 * 1024);
  t.throws(() => {
    for (let i = 0; i < 20; i++) endless.push(piece);
  }, /no end/);
});

t.test('events: online with the first bytes, positions by ids, confirmed every 20 s', async (t) => {
  const { visit, platform, stream } = await onEvents();
  t.equal(visit.chat.state.state, 'connecting', 'headers alone may come from a proxy that holds the rest back');
  await stream.say('retry: 700\n\n');
  t.equal(visit.chat.state.transport, 'events');
  await stream.say(`id: 7.1\ndata: ${JSON.stringify(frame({ position: '7.0', messages: [message('one')] }))}\n\n`);
  t.strictSame(visit.heard.messages, ['anna: one']);
  platform.clock.advance(15_000);
  await stream.say('event: ping\ndata: {}\n\n');
  platform.clock.advance(5_000);
  await settle();
  const confirm = platform.request('/v5/packets');
  t.match(JSON.parse(confirm.body), { call: 'received', position: '7.1' });
  confirm.answer(200, [{ reply: 'ping', status: 'ok' }]);
  await settle();
  await stream.say('event: ping\ndata: {}\n\n');
  platform.clock.advance(10_000);
  t.equal(visit.chat.state.state, 'online');
});

t.test('events: a stream that ends in order comes again from the position, and nobody is told', async (t) => {
  const { visit, platform, stream } = await onEvents();
  await stream.say(
    `retry: 700\nid: 7.1\ndata: ${JSON.stringify(frame({ position: '7.0', messages: [message('one')] }))}\n\n`,
  );
  await stream.end();
  platform.clock.advance(700);
  await settle();
  t.equal(platform.request('/v5/events').url.split('&position=')[1], '7.1');
  t.strictSame(visit.heard.states, ['connecting', 'online events']);
});

t.test('events: silence of 25 s is a dead connection', async (t) => {
  const { visit, platform, stream } = await onEvents();
  await stream.say('retry: 700\n\n');
  platform.clock.advance(25_000);
  t.equal(visit.heard.states.at(-1), 'waiting silence');
});

t.test('events: stopped is for good, replaced takes another ticket', async (t) => {
  const stopped = await onEvents();
  await stopped.stream.say('retry: 86400000\nevent: stopped\ndata: {}\n\n');
  t.equal(stopped.visit.heard.states.at(-1), 'stopped stopped');
  const replaced = await onEvents();
  await replaced.stream.say('retry: 700\n\n');
  replaced.platform.clock.advance(6_000);
  await replaced.stream.say('event: replaced\ndata: {}\n\n');
  t.equal(replaced.visit.heard.states.at(-1), 'waiting replaced');
  t.equal(replaced.platform.asked.filter(({ url }) => url.endsWith('/online')).length, 2);
});

t.test('events: a server or a proxy without them is polled', async (t) => {
  for (const [status, headers] of [
    [404, {}],
    [200, { 'content-type': 'text/html' }],
  ] as const) {
    const platform = new FakePlatform();
    const visit = new Visit(platform, { transports: ['events', 'poll'] });
    await visit.come();
    platform.request('/v5/events').answer(status, { message: 'not found' }, headers);
    await settle();
    platform.clock.advance(1_000);
    t.equal(visit.chat.state.transport, 'poll', String(status));
  }
});

async function onPoll(
  first: object = frame({ position: '7.0', messages: [message('one')] }),
): Promise<{ visit: Visit; platform: FakePlatform }> {
  const platform = new FakePlatform();
  const visit = new Visit(platform, { transports: ['poll'] });
  await visit.come();
  platform.request('/v5/packets').answer(200, first);
  await settle();
  return { visit, platform };
}

function position(platform: FakePlatform): string | undefined {
  return platform.asked
    .findLast(({ url, body }) => url.includes('/v5/packets') && body === '')
    ?.url.split('&position=')[1];
}

t.test('polls: each says what has come', async (t) => {
  const { visit, platform } = await onPoll();
  t.equal(visit.chat.state.transport, 'poll');
  t.equal(position(platform), '7.1');
  platform.asked
    .findLast(({ body }) => body === '')
    ?.answer(200, frame({ messages: [message('two'), message('three')] }));
  await settle();
  t.equal(position(platform), '7.3');
  t.strictSame(visit.heard.messages, ['anna: one', 'anna: two', 'anna: three']);
});

t.test('polls: one that waits is a connection, and is asked anew before the server answers', async (t) => {
  const platform = new FakePlatform();
  const visit = new Visit(platform, { transports: ['poll'] });
  await visit.come();
  platform.clock.advance(1_000);
  t.equal(visit.chat.state.transport, 'poll', 'nothing has refused it');
  platform.request('/v5/packets').answer(200, frame({ position: '7.0' }));
  await settle();
  const poll = platform.asked.findLast(({ body }) => body === '');
  platform.clock.advance(24_000);
  await settle();
  t.ok(poll?.signal?.aborted);
  t.not(
    platform.asked.findLast(({ body }) => body === ''),
    poll,
  );
  t.equal(visit.chat.state.state, 'online');
});

t.test('polls: a relay that goes silent is found within 25 s', async (t) => {
  const { visit, platform } = await onPoll();
  platform.clock.advance(25_000);
  await settle();
  t.equal(visit.heard.states.at(-1), 'waiting no answer');
});

t.test('polls: a server without positions is polled as before there were any, and nothing is aborted', async (t) => {
  const { visit, platform } = await onPoll(frame({ messages: [message('one')] }));
  t.equal(position(platform), undefined);
  const poll = platform.asked.findLast(({ body }) => body === '');
  platform.clock.advance(25_000);
  await settle();
  t.notOk(poll?.signal?.aborted);
  t.equal(visit.chat.state.state, 'online');
});

t.test('polls: empty answers make no tight loop', async (t) => {
  const { platform } = await onPoll();
  const polls = (): number => platform.asked.filter(({ body }) => body === '').length;
  const before = polls();
  for (let turn = 0; turn < 20; turn++) {
    platform.asked.findLast(({ body }) => body === '')?.answer(200, frame());
    await settle();
    platform.clock.advance(100);
    await settle();
  }
  t.ok(polls() - before <= 3, `${polls() - before} polls in two seconds`);
});

t.test('polls: replaced takes another ticket, stopped is for good, 404 comes online anew', async (t) => {
  for (const [status, body, state] of [
    [200, frame({ replaced: true }), 'waiting replaced'],
    [200, { status: 'stopped' }, 'stopped stopped'],
    [404, { status: 'error', message: 'ticket not found' }, 'waiting ticket not found'],
    [502, 'bad gateway', 'waiting status 502'],
  ] as const) {
    const { visit, platform } = await onPoll();
    platform.clock.advance(6_000);
    platform.asked.findLast(({ body }) => body === '')?.answer(status, body);
    await settle();
    t.equal(visit.heard.states.at(-1), state);
  }
});

t.test('polls: calls go by requests of their own', async (t) => {
  const { visit, platform } = await onPoll();
  const calls = () => platform.asked.filter(({ body }) => body.includes('"message"'));
  const sent = visit.chat.send({ to: 'anna', body: 'hi' });
  await settle();
  calls()[0]?.fail();
  await settle();
  platform.clock.advance(1_000);
  t.equal(calls().length, 2, 'and again when one has failed');
  const { ref } = JSON.parse(calls()[1]?.body ?? '');
  calls()[1]?.answer(200, [{ reply: ref, status: 'ok', id: 'id-1', outcome: 'delivered' }]);
  t.match(await sent, { outcome: 'delivered' });
  const refused = visit.chat.send({ to: 'anna', body: 'hi' });
  await settle();
  calls()[2]?.answer(405, { status: 'error', message: 'method not allowed' });
  await t.rejects(refused, { code: 405 });
});
