/** What the calls of PROTOCOL.md section 3 take, as JSON Schema, compiled; and the words in which a breach is told. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { SHOWS } from '../actors/presence.js';
import { badRequest, type ReplyError } from '../errors.js';
import type { Parameters } from './parameters.js';

const KIB = 1024;
const TIMESTAMP_CHARACTERS = 64;

const id = { type: 'string', minLength: 1 } as const;
const short = { type: 'string', maxBytes: KIB } as const;
const list = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] } as const;
const ticket = { type: 'string' } as const;

interface Schema {
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, object>>;
}

const message = {
  to: { type: 'string', maxBytes: KIB },
  body: id,
  nick: short,
  style: short,
  timestamp: { type: 'string', maxLength: TIMESTAMP_CHARACTERS },
  type: { enum: ['chat', 'grpchat', 'broadcast', ''] },
  avatar: short,
  to_name: short,
  to_avatar: short,
  to_other: short,
};

/** One for each call; PUSH is MESSAGES with `from`. */
export const SCHEMAS = {
  online: {
    required: ['name', 'nick'],
    properties: {
      name: id,
      nick: short,
      show: { enum: [...SHOWS, ''] },
      status: short,
      buddies: list,
      rooms: list,
      client: id,
    },
  },
  offline: { required: ['ticket'], properties: { ticket } },
  show: { required: ['ticket', 'show'], properties: { ticket, show: { enum: SHOWS }, nick: short, status: short } },
  presences: { required: ['ids'], properties: { ids: list } },
  message: { required: ['ticket', 'to', 'body'], properties: { ticket, ...message } },
  push: { required: ['from', 'body'], properties: { from: id, ...message } },
  status: { required: ['ticket', 'to', 'show'], properties: { ticket, to: id, show: short, nick: short } },
  members: { required: ['ticket'], properties: { ticket } },
  join: { required: ['ticket'], properties: { ticket, nick: short } },
  leave: { required: ['ticket'], properties: { ticket, nick: short } },
} as const satisfies Readonly<Record<string, Schema>>;

export type CallName = keyof typeof SCHEMAS;

/** The parameters a call knows, checked. Lists may still be arrays. */
export type Checked = Readonly<Record<string, string | readonly string[] | undefined>>;

const ajv = new Ajv({ allErrors: false, strict: true, allowUnionTypes: true });
ajv.addKeyword({
  keyword: 'maxBytes',
  type: 'string',
  schemaType: 'number',
  validate: (limit: number, value: string) => value.length * 3 <= limit || Buffer.byteLength(value) <= limit,
});

interface Compiled {
  readonly names: readonly string[];
  readonly validate: ValidateFunction;
}

const compiled = new Map<CallName, Compiled>();
for (const [name, schema] of Object.entries(SCHEMAS)) {
  const validate = ajv.compile({ type: 'object', ...schema });
  compiled.set(name as CallName, { names: Object.keys(schema.properties), validate });
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

/** Picks out what a call knows and checks it; the others are ignored. */
export function check(call: CallName, parameters: Parameters): Checked | ReplyError {
  const known: Record<string, unknown> = {};
  const { names, validate } = compiled.get(call) as Compiled;
  for (const name of names) {
    const value = parameters.get(name);
    if (value !== undefined) known[name] = value;
  }
  if (validate(known)) return known as Checked;
  return badRequest(say(validate.errors?.[0] as ErrorObject));
}
