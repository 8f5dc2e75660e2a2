/**
 * The OpenAPI 3.1 description of the API, made from what the server itself goes by: the routes, the schemas that check
 * their parameters, the errors and the fields of packets. Only the words are its own.
 */
import { OUTCOMES } from '../../actors/outcome.js';
import { PACKET_FIELDS } from '../../actors/packet.js';
import { type CallName, SCHEMAS } from '../../protocols/schemas.js';
import { type Route, TEMPLATES } from '../routes.js';
import { batchOperation } from './batch.js';
import { CALLS, EXAMPLE_ROOM } from './calls.js';
import { CALL_BY_TICKET } from './client-calls.js';
import { EVENTS, MQTT, MQTT_TEXT, PACKETS, WEBHOOK, WEBSOCKET } from './connections.js';
import { errorResponse, REFUSALS } from './errors.js';
import { INTRODUCTION } from './introduction.js';
import type { Content, Example, JsonSchema, OpenApi, Operation, Parameter, PathItem, Response } from './types.js';
import { EVENT_SCHEMAS, EVENTS_WEBHOOK } from './webhooks.js';

const BASE = '/v5';

/** Both ways of authenticating, section 3. */
const SECURITY: NonNullable<Operation['security']> = [{ basic: [] }, { domain: [], apikey: [] }];

/** A POST may carry them in its body too. */
const CREDENTIALS: Readonly<Record<string, JsonSchema>> = {
  domain: { type: 'string', description: "The site's domain; HTTP Basic names it as well." },
  apikey: { type: 'string', description: "The site's API key, where HTTP Basic does not carry it." },
};

/** As OpenAPI has it: `maxBytes` is a keyword of this server, and no text of n bytes has more than n characters. */
function portable(schema: JsonSchema): JsonSchema {
  const { maxBytes, ...rest } = schema;
  const typed = rest.enum === undefined ? rest : { type: 'string', ...rest };
  if (maxBytes === undefined) return typed;
  return { ...typed, maxLength: maxBytes, description: `${rest.description} At most ${maxBytes} bytes of UTF-8.` };
}

function propertiesOf(call: CallName): Readonly<Record<string, JsonSchema>> {
  return SCHEMAS[call].properties;
}

function requiredOf(call: CallName): readonly string[] {
  return SCHEMAS[call].required;
}

function byNameOf(call: CallName): boolean {
  return 'byName' in SCHEMAS[call];
}

function isList(schema: JsonSchema): boolean {
  return Array.isArray(schema.anyOf);
}

/** `OnlineCall`: the parameters of a POST. */
function componentName(call: CallName): string {
  return `${call[0]?.toUpperCase()}${call.slice(1)}Call`;
}

function bodySchema(call: CallName): JsonSchema {
  const properties = Object.entries(propertiesOf(call)).map(([name, schema]) => [name, portable(schema)] as const);
  return {
    type: 'object',
    description: `${CALLS[call].name}: ${CALLS[call].summary}.`,
    required: byNameOf(call) ? requiredOf(call).filter((name) => name !== 'ticket') : requiredOf(call),
    ...(byNameOf(call) && { anyOf: [{ required: ['ticket'] }, { required: ['name'] }] }),
    properties: { ...CREDENTIALS, ...Object.fromEntries(properties) },
  };
}

function queryParameters(call: CallName): Parameter[] {
  return Object.entries(propertiesOf(call)).map(([name, schema]) => {
    const { description, ...rest } = portable(schema);
    return {
      name,
      in: 'query',
      required: requiredOf(call).includes(name),
      description: String(description),
      schema: rest,
      ...(isList(schema) && { style: 'form', explode: false }),
      example: CALLS[call].example[name],
    };
  });
}

function examplesOf(calls: readonly CallName[], part: 'example' | 'answer'): Readonly<Record<string, Example>> {
  return Object.fromEntries(calls.map((call) => [call, { summary: CALLS[call].name, value: CALLS[call][part] }]));
}

function requestBody(calls: readonly CallName[]): NonNullable<Operation['requestBody']> {
  const references = calls.map((call) => ({ $ref: `#/components/schemas/${componentName(call)}` }));
  const schema = references.length === 1 ? (references[0] as JsonSchema) : { anyOf: references };
  const examples = examplesOf(calls, 'example');
  const lists = calls.flatMap((call) => Object.entries(propertiesOf(call)).filter(([, property]) => isList(property)));
  const encoding = Object.fromEntries(lists.map(([name]) => [name, { style: 'form', explode: false }] as const));
  const form = { schema, examples, ...(lists.length > 0 && { encoding }) };
  return {
    required: true,
    content: { 'application/x-www-form-urlencoded': form, 'application/json': { schema, examples } },
  };
}

/** The answers that are not `{"status":"ok"}`. */
const ANSWERS: ReadonlyMap<CallName, string> = new Map([
  ['message', 'MessageAnswer'],
  ['presences', 'Presences'],
  ['allPresences', 'PresencePage'],
  ['members', 'Presences'],
  ['history', 'History'],
  ['groupJoin', 'GroupSizes'],
  ['groupMembers', 'GroupMembers'],
  ['chatsOpen', 'Chats'],
  ['chatsClose', 'Chats'],
]);

function answerSchema(calls: readonly CallName[]): JsonSchema {
  const [call] = calls;
  if (call === 'online') return { $ref: '#/components/schemas/OnlineAnswer' };
  return { $ref: `#/components/schemas/${ANSWERS.get(call as CallName) ?? 'Ok'}` };
}

/** Those that most calls do not know. */
const FURTHER_REFUSALS: ReadonlyMap<CallName, readonly string[]> = new Map([
  ['history', ['Forbidden']],
  ['forget', ['Forbidden', 'NotFound']],
  ['online', ['Banned']],
]);

/** What can go wrong once the path and method are right, in the order of the codes. */
function refusalsOf(route: Route): Operation['responses'] {
  const isPost = route.method === 'POST';
  const takesTicket = route.calls.some((call) => 'ticket' in propertiesOf(call));
  const names = [
    'BadRequest',
    'AuthenticationFailed',
    ...route.calls.flatMap((call) => FURTHER_REFUSALS.get(call) ?? []),
    ...(takesTicket ? ['TicketNotFound'] : []),
    ...(isPost ? ['PayloadTooLarge', 'UnsupportedMediaType'] : []),
    'TooManyRequests',
    'Unavailable',
  ];
  const responses: Record<string, Response | { $ref: string }> = {};
  for (const name of names) {
    const refusal = REFUSALS[name] as (typeof REFUSALS)[string];
    const { errorFields } = route;
    responses[refusal.error.status] = errorFields
      ? errorResponse(refusal, 'OnlineError', errorFields)
      : { $ref: `#/components/responses/${name}` };
  }
  return responses;
}

function tagOf(path: string): string {
  if (path.startsWith('group/') || path.startsWith('chats/')) return 'NexTalk 5.0 to 5.3';
  if (path.startsWith('presences')) return 'Presence';
  if (path === 'history') return 'History';
  return path.startsWith('rooms') ? 'Rooms' : 'Messages';
}

const ROOM: Parameter = {
  name: 'roomId',
  in: 'path',
  required: true,
  description: 'The id of the room, percent-encoded.',
  schema: { type: 'string', minLength: 1 },
  example: EXAMPLE_ROOM,
};

function operation(path: string, route: Route): Operation {
  const { calls, method } = route;
  const texts = calls.map((call) => CALLS[call]);
  const [first] = texts as [(typeof texts)[0], ...typeof texts];
  const parameters = [
    ...(path.includes('{roomId}') ? [ROOM] : []),
    ...(method !== 'POST' ? calls.flatMap(queryParameters) : []),
  ];
  const content: Content = {
    'application/json': { schema: answerSchema(calls), examples: examplesOf(calls.slice(0, 1), 'answer') },
  };
  return {
    operationId: first.operationId,
    summary: texts
      .map(({ summary }, i) => (i === 0 ? summary : summary.replace(/^./, (c) => c.toLowerCase())))
      .join(', '),
    description: texts.map(({ name, text }) => `**${name}.** ${text}`).join('\n\n'),
    tags: [tagOf(path)],
    security: route.takesToken ? [...SECURITY, { token: [] }] : SECURITY,
    ...(parameters.length > 0 && { parameters }),
    ...(method === 'POST' && { requestBody: requestBody(calls) }),
    responses: { 200: { description: 'Done.', content }, ...refusalsOf(route) },
  };
}

function paths(): OpenApi['paths'] {
  const items: Record<string, PathItem> = {};
  for (const [path, route] of TEMPLATES) {
    const described = operation(path, route);
    items[`${BASE}/${path}`] = {
      [route.method.toLowerCase()]: path === 'messages/batch' ? batchOperation(described) : described,
      ...(route.deleting && { delete: operation(path, route.deleting) }),
    };
  }
  return {
    ...items,
    [`${BASE}/packets`]: { get: PACKETS, post: CALL_BY_TICKET },
    [`${BASE}/events`]: { get: EVENTS },
    [`${BASE}/wsocket`]: { get: WEBSOCKET },
    '/mqtt': { get: MQTT },
  };
}

const text = { type: 'string' };

function record(required: Readonly<Record<string, JsonSchema>>, optional: Readonly<Record<string, JsonSchema>> = {}) {
  return { type: 'object', required: Object.keys(required), properties: { ...required, ...optional } };
}

const OUTCOME = {
  enum: OUTCOMES,
  description:
    '`delivered`: an open connection took it. `queued`: it waits for a client that is about to come back, or for a webhook. `stored`: ' +
    'the offline store has it. `unknown`: a node did not answer. `dropped`: nobody keeps it.',
};

const MESSAGE_ANSWER: JsonSchema = {
  ...record(
    { status: { const: 'ok' } },
    {
      id: text,
      outcome: OUTCOME,
      members: { type: 'integer', description: 'Of a room: its members who are online and visible.' },
      outcomes: {
        type: 'object',
        description: 'Of several receivers: short id → outcome.',
        additionalProperties: OUTCOME,
      },
    },
  ),
  description: 'All but `status` is there with `receipt=1` only.',
};

function packetSchema(kind: keyof typeof PACKET_FIELDS, description: string): JsonSchema {
  const { required, optional } = PACKET_FIELDS[kind];
  const texts = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, text]));
  const data: Record<string, JsonSchema> = kind === 'message' ? { data: { description: 'Any JSON value.' } } : {};
  return { ...record(texts(required), { ...texts(optional), ...data }), description };
}

function schemas(): Readonly<Record<string, JsonSchema>> {
  const posts = [...TEMPLATES.values()].filter(({ method }) => method === 'POST').flatMap(({ calls }) => calls);
  const { answer } = CALLS.online;
  const urls = Object.keys(answer).filter((name) => !['success', 'ticket', 'presences'].includes(name));
  const listOf = (name: string) => ({ type: 'array', items: { $ref: `#/components/schemas/${name}` } });
  const error = record(
    { status: { const: 'error' }, message: text },
    { detail: text, retryAfter: { type: 'integer' } },
  );
  const url = (name: string) => [name, { type: 'string', format: 'uri' }] as const;
  return {
    ...Object.fromEntries(posts.map((call) => [componentName(call), bodySchema(call)])),
    Ok: record({ status: { const: 'ok' } }),
    MessageAnswer: MESSAGE_ANSWER,
    OnlineAnswer: record(
      {
        success: { const: true },
        ticket: text,
        ...Object.fromEntries(urls.filter((name) => !name.startsWith('mqtt')).map(url)),
        presences: { $ref: '#/components/schemas/Presences' },
      },
      {
        ...Object.fromEntries(urls.filter((name) => name.startsWith('mqtt')).map(url)),
        buddies: { $ref: '#/components/schemas/Presences' },
        groups: { $ref: '#/components/schemas/GroupSizes' },
      },
    ),
    Presences: {
      type: 'object',
      description: 'Short id → show; with `full=1`, all that is seen.',
      additionalProperties: { anyOf: [text, record({ show: text, nick: text, status: text })] },
    },
    PresencePage: {
      ...record({ status: { const: 'ok' }, presences: { $ref: '#/components/schemas/Presences' } }, { next: text }),
      description: 'Where there are more, `next` is the `after` of the next page.',
    },
    GroupSizes: {
      type: 'object',
      description: 'Short id of a room → members online.',
      additionalProperties: { type: 'integer' },
    },
    GroupMembers: { type: 'array', items: record({ id: text, nick: text, show: text }) },
    Chats: record({ status: { const: 'ok' }, buddies: { $ref: '#/components/schemas/Presences' } }),
    History: {
      description: '`messages` of a conversation, or without `with` the `conversations`.',
      ...record(
        { status: { const: 'ok' } },
        { messages: listOf('MessagePacket'), conversations: listOf('Conversation'), next: text },
      ),
    },
    Conversation: record({
      with: text,
      last: { $ref: '#/components/schemas/MessagePacket' },
      unread: { type: 'integer' },
    }),
    Error: {
      ...error,
      description:
        'Every refusal. `detail` is there with 400 and 403 only; `retryAfter`, in seconds, where a client, and not a site, is told to come again (429, 503).',
    },
    OnlineError: { ...error, properties: { success: { const: false }, ...error.properties } },
    Frame: {
      description: 'What comes over every long connection. Fields that are not known are to be ignored.',
      ...record(
        { status: { enum: ['ok', 'stopped'] } },
        { messages: listOf('MessagePacket'), presences: listOf('PresencePacket'), statuses: listOf('StatusPacket') },
      ),
    },
    MessagePacket: packetSchema('message', 'A message. In a `grpchat`, `to` is the id of the room.'),
    PresencePacket: packetSchema(
      'presence',
      'A change that others see: `online`, `offline`, `show`; of a room `join`, `leave`, `grponline`, `grpoffline`, where ' +
        '`to` and `status` are its id.',
    ),
    ...EVENT_SCHEMAS,
    StatusPacket: packetSchema('status', 'What somebody is doing now, such as `typing`.'),
  };
}

const TAGS: OpenApi['tags'] = [
  { name: 'Presence', description: 'Who is online, and how they are seen. Called by the site’s backend.' },
  { name: 'Messages', description: 'One to one, to rooms and to all. Called by the site’s backend.' },
  { name: 'History', description: 'What was said, where the domain keeps it. Called by the site’s backend.' },
  { name: 'Rooms', description: 'Who is in a room. Called by the site’s backend.' },
  { name: 'NexTalk 5.0 to 5.3', description: 'Older names of calls, for plugins of 2013 and early 2014.' },
  {
    name: 'Long polling',
    description: 'How a page receives its packets by JSONP or fetch; no API key, only its ticket.',
  },
  { name: 'Server-sent events', description: 'The same as a stream, for EventSource; only its ticket.' },
  { name: 'WebSocket', description: 'How a page receives its packets by WebSocket; no API key, only its ticket.' },
  { name: 'MQTT', description: MQTT_TEXT },
  { name: 'Webhooks', description: 'What the server sends to the site.' },
];

/** `publicUrl`: where clients reach the server; null: where the document came from. */
export function openApiDocument(version: string, publicUrl: string | null): OpenApi {
  return {
    openapi: '3.1.1',
    info: {
      title: 'NexTalk',
      version,
      summary: 'Instant messages, presence and push for websites.',
      description: INTRODUCTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    ...(publicUrl !== null && { servers: [{ url: publicUrl }] }),
    tags: TAGS,
    paths: paths(),
    webhooks: { serviceMessage: { post: WEBHOOK }, events: { post: EVENTS_WEBHOOK } },
    components: {
      schemas: schemas(),
      responses: Object.fromEntries(
        Object.entries(REFUSALS).map(([name, refusal]) => [name, errorResponse(refusal, 'Error')]),
      ),
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic', description: 'User: the domain. Password: its API key.' },
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description:
            "Signed by the site with the domain's `tokenSecret`, for a page; also as the field `token` of a form.",
        },
        domain: { type: 'apiKey', in: 'query', name: 'domain', description: 'The domain, together with `apikey`.' },
        apikey: {
          type: 'apiKey',
          in: 'query',
          name: 'apikey',
          description: 'The API key; a POST may have both in its body.',
        },
        ticket: { type: 'apiKey', in: 'query', name: 'ticket', description: 'The right of one client, from ONLINE.' },
      },
    },
  };
}
