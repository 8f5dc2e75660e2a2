/** The description against a real server: its examples are run, its refusals provoked, its bounds tried. */
import t from 'tap';
import { EXAMPLE_TICKET } from '../../src/http/openapi/calls.js';
import type { OpenApi, Reference, Response } from '../../src/http/openapi/types.js';
import type { CallName } from '../../src/protocols/schemas.js';
import { Admin } from '../domains/support.js';
import { ManualClock } from '../mqtt/support/clock.js';
import type { Check } from '../support/check.js';
import type { Answer, HttpRequest } from '../support/http.js';
import { type Settings, type TestServer, testServer } from '../support/server.js';
import { CALLS, operationAt, schemaOf } from './support.js';

const auth = { domain: 'localhost', apikey: 'public' };
const settings = { domains: [auth], mqtt: { port: -1 } };

/** Of a server that keeps what was said. */
function keeping(t: { testdir(): string }): Settings {
  return { ...settings, domains: [{ ...auth, history: {} }], data: t.testdir() };
}

async function documentOf(server: TestServer): Promise<OpenApi> {
  return (await server.request({ path: '/v5/openapi.json' })).body as OpenApi;
}

type Params = Record<string, string>;

/** The example of a call, with a real ticket in the place of the example's. */
function exampleOf(document: OpenApi, call: CallName, ticket: string): Params {
  const { method, path } = CALLS[call];
  const operation = operationAt(document, method, path);
  const given =
    method !== 'POST'
      ? Object.fromEntries(
          (operation?.parameters ?? []).filter((p) => p.in === 'query').map((p) => [p.name, p.example]),
        )
      : operation?.requestBody?.content['application/json']?.examples[call]?.value;
  return JSON.parse(JSON.stringify(given).replaceAll(EXAMPLE_TICKET, ticket));
}

function requestOf(call: CallName, params: Params, form = true): HttpRequest {
  const { method, path } = CALLS[call];
  const at = { method, path: path.replace('{roomId}', 'lobby'), auth };
  if (method !== 'POST') return { ...at, query: params };
  return form ? { ...at, form: params } : { ...at, json: params };
}

/** The answer that the description has for a status of a call. */
function answerOf(document: OpenApi, call: CallName, status: number): Response {
  const { method, path } = CALLS[call];
  const found = operationAt(document, method, path)?.responses[status] as Response | Reference;
  if (!('$ref' in found)) return found;
  return document.components.responses[found.$ref.split('/').at(-1) ?? ''] as Response;
}

function bodyOf(response: Response): unknown {
  return Object.values(response.content?.['application/json']?.examples ?? {})[0]?.value;
}

/** Addresses, ports and tokens as the example has them. */
function asInExample(answer: Answer, server: TestServer): unknown {
  const text = answer.text
    .replaceAll(server.host, '127.0.0.1:8080')
    .replaceAll(`:${server.mqttPort}"`, ':1883"')
    .replace(/uid:jack:[0-9a-f]+/, EXAMPLE_TICKET)
    .replace(/"id":"[0-9A-Z]{26}"/, '"id":"m1"');
  return JSON.parse(text);
}

for (const form of [true, false]) {
  t.test(`every example is answered as described, ${form ? 'as forms' : 'as JSON'}`, async (t) => {
    const server = await testServer(t, keeping(t));
    const document = await documentOf(server);
    const site = server.site(auth);
    const rose = await site.online('rose', { nick: 'Rose', show: 'away', rooms: 'lobby' });
    const poll = async () => {
      const answer = await server.request({ path: '/v5/packets', query: { domain: auth.domain, ticket: rose.ticket } });
      return answer.body;
    };
    let ticket = '';
    const run = async (call: CallName): Promise<Answer> => {
      const answer = await server.request(requestOf(call, exampleOf(document, call, ticket), form));
      t.strictSame(asInExample(answer, server), bodyOf(answerOf(document, call, 200)), `${call}: ${answer.text}`);
      return answer;
    };
    ticket = ((await run('online')).body as { ticket: string }).ticket;
    t.match(await poll(), { presences: [{ from: 'jack' }, { from: 'jack' }] });
    for (const call of ['groupMembers', 'chatsOpen', 'chatsClose'] as const) await run(call);
    for (const call of ['presences', 'members', 'show', 'message', 'status', 'history'] as const) await run(call);
    const packets = document.paths['/v5/packets']?.get?.responses[200] as Response;
    const frames = packets.content?.['application/json']?.examples;
    const masked = (frame: unknown) => JSON.stringify(frame).replace(/"id":"[0-9A-Z]{26}"/g, '"id":""');
    t.equal(masked(await poll()), masked(frames?.packets?.value), 'rose is sent what the description shows');
    for (const call of ['push', 'join', 'leave', 'groupJoin', 'groupLeave', 'forget', 'offline'] as const)
      await run(call);
    t.match(await poll(), { presences: [{ type: 'leave' }, { type: 'join' }, { type: 'leave' }] });
    const polling = poll();
    await server.settled();
    await site.offline(rose.ticket);
    t.strictSame(await polling, frames?.stopped?.value);
  });
}

/** A request that is refused with a status, made from the example of a call. */
function refusedWith(status: number, call: CallName, example: Params, required: readonly string[]): HttpRequest {
  const good = requestOf(call, example);
  const [first = ''] = required;
  switch (status) {
    case 400:
      // A call that requires no parameter is refused for a value that is illegal.
      if (required.length === 0) return requestOf(call, { ...example, group: 'a/b', buddies: 'a/b', full: 'x' });
      return requestOf(call, Object.fromEntries(Object.entries(example).filter(([name]) => name !== first)));
    case 401:
      return { ...good, auth: { ...auth, apikey: 'wrong' } };
    case 404:
      return requestOf(call, { ...example, ...(call === 'forget' ? { id: 'none' } : { ticket: EXAMPLE_TICKET }) });
    case 413:
      return { ...good, form: { ...example, padding: 'x'.repeat(70_000) } };
    case 415:
      return { ...good, type: 'text/plain' };
    default:
      return good;
  }
}

function holds(t: Check, answer: Answer, response: Response, status: number, title: string): void {
  t.equal(answer.status, status, `${title}: ${answer.text}`);
  const described = bodyOf(response) as Record<string, string>;
  const { detail, ...rest } = answer.body as Record<string, string>;
  const { detail: _, ...wanted } = described;
  t.strictSame(rest, wanted, title);
  t.equal(detail !== undefined, 'detail' in described, `${title}: detail`);
  for (const name of Object.keys(response.headers ?? {})) t.ok(answer.headers[name.toLowerCase()], `${title}: ${name}`);
}

t.test('every refusal is answered as described', async (t) => {
  const server = await testServer(t, keeping(t));
  const bare = await testServer(t, { ...settings, admin: { port: -1 } });
  t.match(await new Admin(bare).ask('POST', `/api/domains/${auth.domain}/ban`, { id: 'jack' }), { status: 201 });
  const limited = await testServer(t, { ...settings, limits: { requestsPerSecond: 1 } }, new ManualClock());
  t.strictSame(await limited.site(auth).presences('jack'), {}, 'the one request of the only second');
  const draining = await testServer(t, settings);
  await draining.drain();
  const document = await documentOf(server);
  const { ticket } = await server.site(auth).online('jack');
  for (const [call, { method, path }] of Object.entries(CALLS) as [CallName, (typeof CALLS)[CallName]][]) {
    for (const status of Object.keys(operationAt(document, method, path)?.responses ?? {}).map(Number)) {
      // A push has no ticket that could be unknown; MESSAGES shares its operation.
      if (status === 200 || (status === 404 && call === 'push')) continue;
      const response = answerOf(document, call, status);
      const example = exampleOf(document, call, ticket);
      const request = refusedWith(status, call, example, schemaOf(document, call).required);
      const title = `${call} ${status}`;
      if (status === 503) holds(t, await draining.request(request), response, status, title);
      else if (status === 403) holds(t, await bare.request(request), response, status, title);
      else if (status === 429) holds(t, await limited.request(request), response, status, title);
      else holds(t, await server.request(request), response, status, title);
    }
  }
  const shared = document.components.responses;
  const nowhere = await server.request({ path: '/v5/nowhere' });
  holds(t, nowhere, shared.NotFound as Response, 404, 'not found');
  const wrongMethod = await server.request({ path: '/v5/messages' });
  holds(t, wrongMethod, shared.MethodNotAllowed as Response, 405, 'method not allowed');
});

t.test('every bound of a parameter is the server’s', async (t) => {
  const server = await testServer(t, keeping(t));
  const document = await documentOf(server);
  const { ticket } = await server.site(auth).online('jack');
  let tried = 0;
  const refuses = async (call: CallName, name: string, value: string | undefined, title: string) => {
    // Without its `from` a push is a call of MESSAGES.
    if (call === 'push' && name === 'from' && !value) return;
    const { [name]: _, ...others } = exampleOf(document, call, ticket);
    const params = value === undefined ? others : { ...others, [name]: value };
    const answer = await server.request(requestOf(call, params));
    t.equal(answer.status, 400, `${call}: ${title}: ${answer.text}`);
    t.match((answer.body as { detail?: string }).detail, new RegExp(`\\b${name}\\b`), `${call}: ${title}`);
    tried += 1;
  };
  for (const call of Object.keys(CALLS) as CallName[]) {
    const { fields, required } = schemaOf(document, call);
    for (const name of required) await refuses(call, name, undefined, `${name} is missing`);
    for (const [name, schema] of fields) {
      const { maxLength, minLength } = schema as { maxLength?: number; minLength?: number };
      if (schema.enum) await refuses(call, name, 'nonsense', `${name} is none of the list`);
      if (minLength) await refuses(call, name, '', `${name} is empty`);
      if (maxLength) await refuses(call, name, 'x'.repeat(maxLength + 1), `${name} is too long`);
    }
  }
  t.ok(tried > 45, `${tried} bounds`);
});
