/**
 * What the calls of PROTOCOL.md section 3 take, as JSON Schema, compiled; and the words in which a breach is told. The
 * OpenAPI description (http/openapi) is made from the same schemas, so what a parameter means is said here.
 */
import { _, Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { SHOWS } from '../actors/presence.js';
import { badRequest, type ReplyError } from '../errors.js';
import type { Parameters } from './parameters.js';

const KIB = 1024;
const TIMESTAMP_CHARACTERS = 64;

const id = (description: string) => ({ type: 'string', minLength: 1, description }) as const;
const short = (description: string) => ({ type: 'string', maxBytes: KIB, description }) as const;
const list = (description: string) =>
  ({ anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }], description }) as const;
const ticket = { type: 'string', description: 'The ticket of the client that acts, as ONLINE answered it.' } as const;
const name = id(
  'In place of `ticket`: the id of the user, visitor or service that acts, whoever holds its tickets. A ticket counts first.',
);
const full = {
  enum: ['', '0', '1', 'false', 'true'],
  description: '`1`: objects with `show`, `nick` and `status` in place of shows.',
} as const;

interface Schema {
  readonly required: readonly string[];
  /** A name may stand in place of the ticket. */
  readonly byName?: true;
  readonly properties: Readonly<Record<string, object>>;
}

const message = {
  to: list(
    'Who receives it: the id of a user, visitor or service, or of a room (`type=grpchat`). Several are separated by commas: up ' +
      'to 1,000, each of whom gets a message of its own.',
  ),
  body: id('The text. At most 8 KiB of UTF-8 unless configured.'),
  nick: short(
    "The sender's name as the receiver reads it. Missing or empty: the nick it came online with, else its id.",
  ),
  style: short('How the text looks: CSS, passed on as it is.'),
  timestamp: {
    type: 'string',
    maxLength: TIMESTAMP_CHARACTERS,
    description: "The sender's time in milliseconds since 1970, kept as sent. Missing: the server's.",
  },
  type: {
    enum: ['chat', 'grpchat', 'broadcast', ''],
    description:
      '`chat` (default): to one endpoint. `grpchat`: to the members of a room. `broadcast`: to every online endpoint ' +
      'of the domain; a push only.',
  },
  avatar: short('Passed on as sent.'),
  to_name: short('Passed on as sent.'),
  to_avatar: short('Passed on as sent.'),
  to_other: short('Passed on as sent.'),
  id: {
    type: 'string',
    description:
      "The sender's id of the message, 1 to 64 characters of A-Z, a-z, 0-9 and . _ ~ -. Missing or empty: the server makes one. " +
      'The same again within ten minutes is delivered to nobody and answered as the first time. The header Idempotency-Key is the same.',
  },
  data: {
    description:
      'Any JSON value, as large as a body: cards, files, buttons; in a form its text. In the packet it is the value, written anew.',
  },
  receipt: {
    enum: ['1', 'true', '0', 'false', ''],
    description: '`1`: the answer says what became of the message. Missing: it does not.',
  },
};

/** Which part of the history. */
const range = {
  before: { type: 'string', description: 'The `next` of a page: what is older than that.' },
  after: {
    type: 'string',
    description: 'The `next` of a page: what is newer than that, the oldest first. Needs `with`.',
  },
  limit: {
    type: 'string',
    description: 'How many at most, 1 to 200. Missing: 50. A page of long messages is shorter.',
  },
} as const;
const other = 'the id of a user, visitor or service, or `gid:` and that of a room';

/** Of the dialect of NexTalk 5.0 to 5.3. */
const group = {
  group: { type: 'string', description: 'The id of the room. Required, here or as `room`.' },
  room: { type: 'string', description: 'The same as `group`.' },
} as const;
const anyTicket = {
  type: 'string',
  description: 'The ticket of the client that asks. Without one the site asks.',
} as const;
const buddies = list('Ids of those whose shows are answered, separated by commas. May be empty.');

/** One for each call; PUSH is MESSAGES with `from`. */
export const SCHEMAS = {
  online: {
    required: ['name', 'nick'],
    properties: {
      name: id('Who comes online: a user (`jack`), visitor (`vid:7`) or service (`sid:help`); never a room.'),
      nick: short('The name that others read. Empty: the same as `name`.'),
      show: { enum: [...SHOWS, ''], description: 'How others see it. Missing or empty: `available`, or as it was.' },
      status: short('A text beside the show, such as "at lunch".'),
      buddies: list('Ids of those who hear of it and whom it hears of, separated by commas. May be empty.'),
      rooms: list('Ids of the rooms it is in, separated by commas. May be empty.'),
      groups: list(
        'The name of `rooms` until NexTalk 5.3. Where it is given, the answer has `buddies` and `groups` as well.',
      ),
      client: id(
        'A name for this terminal, 1 to 64 characters; another client of the endpoint with the same name is ended. ' +
          'Missing: a name of its own.',
      ),
    },
  },
  offline: { required: ['ticket'], byName: true, properties: { ticket, name } },
  show: {
    required: ['ticket', 'show'],
    byName: true,
    properties: {
      ticket,
      name,
      show: { enum: SHOWS, description: 'How others see the endpoint from now on. It holds for all its clients.' },
      nick: short('A new nick. Missing or empty: as it was.'),
      status: short('A text beside the show. Missing: as it was.'),
    },
  },
  presences: {
    required: ['ids'],
    properties: { ids: list('Ids of users, visitors and services, separated by commas. Empty: nobody.'), full },
  },
  allPresences: {
    required: [],
    properties: {
      after: { type: 'string', description: 'The `next` of the page before. Missing: the first page.' },
      limit: { type: 'string', description: 'So many at most, 1 to 10000. Missing: 1000.' },
      full,
    },
  },
  message: { required: ['ticket', 'to', 'body'], properties: { ticket, ...message } },
  push: {
    required: ['from', 'body'],
    properties: {
      from: id('Whom the site speaks for: a user, visitor or service, online or not.'),
      ...message,
      to: { ...message.to, description: `${message.to.description} Required, but for a broadcast.` },
    },
  },
  status: {
    required: ['ticket', 'to', 'show'],
    byName: true,
    properties: {
      ticket,
      name,
      to: id('Who sees it: the id of an endpoint, or of a room (`gid:lobby`).'),
      show: short('What the sender is doing, such as `typing`.'),
      nick: short("The sender's name. Missing or empty: the nick it came online with."),
    },
  },
  members: { required: [], properties: { ticket: anyTicket, full } },
  join: {
    required: ['ticket'],
    byName: true,
    properties: {
      ticket,
      name,
      nick: short("The name that the room's members read. Missing or empty: the endpoint's nick."),
    },
  },
  leave: {
    required: ['ticket'],
    byName: true,
    properties: {
      ticket,
      name,
      nick: short("The name that the room's members read. Missing or empty: the endpoint's nick."),
    },
  },
  history: {
    required: ['name'],
    properties: {
      name: id('Whose conversations: a user, visitor or service, online or not.'),
      with: id(`With whom: ${other}. Missing: the list of conversations.`),
      ...range,
    },
  },
  forget: {
    required: ['name'],
    properties: {
      name: id('Whose conversations: a user, visitor or service, online or not.'),
      with: id(`With whom: ${other}. Missing: all of them, and what that user has written in rooms.`),
      id: id('The id of one message. Needs `with`. Missing: all messages.'),
    },
  },
  groupJoin: {
    required: ['ticket'],
    properties: {
      ticket,
      ...group,
      nick: short("The name that the room's members read. Missing or empty: the endpoint's nick."),
    },
  },
  groupLeave: {
    required: ['ticket'],
    properties: {
      ticket,
      ...group,
      nick: short("The name that the room's members read. Missing or empty: the endpoint's nick."),
    },
  },
  groupMembers: { required: [], properties: { ticket: anyTicket, ...group } },
  chatsOpen: { required: [], properties: { ticket: anyTicket, buddies } },
  chatsClose: { required: [], properties: { ticket: anyTicket, buddies } },
} as const satisfies Readonly<Record<string, Schema>>;

export type CallName = keyof typeof SCHEMAS;

const { to: _receiver, ...content } = message;
/** A message that a client sends itself: its sender and its receiver are known before its fields are read. */
const CLIENT_MESSAGE: Schema = { required: ['body'], properties: content };
/** What clients ask and send themselves: the client is known before the call is read. */
const CLIENT_CALLS = {
  clientMessage: CLIENT_MESSAGE,
  clientStatus: ofClient(SCHEMAS.status),
  clientShow: ofClient(SCHEMAS.show),
  clientJoin: ofClient(SCHEMAS.join),
  clientLeave: ofClient(SCHEMAS.leave),
  clientHistory: ofClient(SCHEMAS.history),
} as const satisfies Readonly<Record<string, Schema>>;
type SchemaName = CallName | keyof typeof CLIENT_CALLS;

/** A call's parameters without whose call it is. */
function ofClient({ required, properties }: Schema): Schema {
  const { ticket: _ticket, name: _name, ...others } = properties as Record<string, object>;
  return { required: required.filter((name) => name !== 'ticket' && name !== 'name'), properties: others };
}

/** The parameters a call knows, checked. Lists may still be arrays. */
export type Checked = Readonly<Record<string, string | readonly string[] | undefined>>;

const ajv = new Ajv({ allErrors: false, strict: true, allowUnionTypes: true, meta: false, validateSchema: false });
ajv.addKeyword({
  keyword: 'maxBytes',
  type: 'string',
  schemaType: 'number',
  validate: (limit: number, value: string) => value.length * 3 <= limit || Buffer.byteLength(value) <= limit,
});

// By JSON Schema the code points of a text are counted one after another. The schemas ask only that a text is not empty, as its length says.
ajv.removeKeyword('minLength');
ajv.addKeyword({
  keyword: 'minLength',
  type: 'string',
  schemaType: 'number',
  code: (context) => context.fail(_`${context.data}.length < ${context.schema}`),
});

/** A record of the parameters that a call knows, picked out of all; undefined: the parameter is not there. */
type KnownParameters = new (parameters: Parameters) => Record<string, unknown>;

interface Compiled {
  readonly Known: KnownParameters;
  readonly validate: ValidateFunction;
  /** Like `validate`, but requires `name` in place of `ticket`; null: the call cannot be made by name. */
  readonly validateByName: ValidateFunction | null;
}

/** Compiled schemas by call. A schema is compiled when its call is first made: compiling all of them would delay the server's start. */
const compiled = new Map<SchemaName, Compiled>();

function compileCall(call: SchemaName): Compiled {
  const { required, properties, byName }: Schema = { ...SCHEMAS, ...CLIENT_CALLS }[call];
  const compile = (names: readonly string[]) => ajv.compile({ type: 'object', required: names, properties });
  const validateByName = byName ? compile(required.map((one) => (one === 'ticket' ? 'name' : one))) : null;
  const made = { Known: pick(Object.keys(properties)), validate: compile(required), validateByName };
  compiled.set(call, made);
  return made;
}

/** Code with each name in it, like that of a schema: so all records of a call have one shape, for which V8 compiles what reads them. */
function pick(names: readonly string[]): KnownParameters {
  const lines = names.map((name) => `this.${name} = parameters.get('${name}');`);
  return new Function('parameters', lines.join('\n')) as unknown as KnownParameters;
}

/** Whether a call that takes both names an endpoint and no ticket. */
export function isByName(parameters: Parameters): boolean {
  return parameters.has('name') && !parameters.has('ticket');
}

/** A parameter as text; null: missing. */
export function text(value: Checked[string]): string | null {
  return typeof value === 'string' ? value : null;
}

function say(error: ErrorObject): string {
  const name = error.instancePath.split('/')[1] ?? '';
  switch (error.keyword) {
    case 'required':
      return `${error.params.missingProperty} is required`;
    case 'minLength':
      return `${name} must not be empty`;
    case 'maxLength':
      return `${name} must be at most ${error.params.limit} characters`;
    case 'maxBytes':
      return `${name} must be at most ${error.schema ?? KIB} bytes`;
    case 'enum':
      return `${name} must be one of ${(error.params.allowedValues as string[]).filter((v) => v !== '').join(', ')}`;
    default:
      return `${name} must be text`;
  }
}

/** Picks out the parameters that a call knows and checks them; all others are ignored. */
export function check(call: SchemaName, parameters: Parameters): Checked | ReplyError {
  const { Known, validate: byTicket, validateByName } = compiled.get(call) ?? compileCall(call);
  const validate = validateByName && isByName(parameters) ? validateByName : byTicket;
  const known = new Known(parameters);
  if (validate(known)) return known as Checked;
  return badRequest(say(validate.errors?.[0] as ErrorObject));
}
