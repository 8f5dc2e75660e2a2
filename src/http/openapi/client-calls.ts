/** POST /v5/packets, what a client asks and sends itself (PROTOCOL.md section 14), which no schema of a route checks. */
import { OUTCOMES } from '../../actors/outcome.js';
import { CLIENT_CALLS } from '../../protocols/client-calls.js';
import { EXAMPLE_IDENTITY, refusals } from './by-ticket.js';
import type { JsonSchema, Operation } from './types.js';

const CALL: JsonSchema = {
  type: 'object',
  required: ['call'],
  properties: {
    call: { enum: CLIENT_CALLS },
    ref: { type: 'string', maxLength: 64, description: 'What the reply carries as `reply`.' },
  },
};
const REPLY: JsonSchema = {
  type: 'object',
  required: ['reply', 'status'],
  properties: {
    reply: { type: 'string' },
    status: { enum: ['ok', 'error'] },
    id: { type: 'string', description: 'Of the message.' },
    outcome: { enum: OUTCOMES, description: 'What became of the message.' },
    members: { type: 'integer', description: 'Of the room that the message went to.' },
    outcomes: { type: 'object', additionalProperties: { enum: OUTCOMES } },
    presences: { $ref: '#/components/schemas/Presences' },
    messages: { type: 'array', items: { $ref: '#/components/schemas/MessagePacket' } },
    conversations: { type: 'array', items: { $ref: '#/components/schemas/Conversation' } },
    next: { type: 'string', description: 'For `before` or `after` of the next `history`.' },
    message: { type: 'string' },
    detail: { type: 'string' },
    retryAfter: { type: 'integer', description: 'Seconds.' },
  },
};
const oneOrMore = (item: JsonSchema): JsonSchema => ({ anyOf: [item, { type: 'array', items: item, maxItems: 20 }] });

const example = { summary: 'A message', value: { call: 'message', ref: '1', to: 'rose', body: 'Good morning' } };

export const CALL_BY_TICKET: Operation = {
  operationId: 'clientCalls',
  summary: 'Call with a ticket alone',
  description: [
    'One call of a client, or a list of up to 20 that are run in order; a WebSocket takes the same as texts. `message` and `status`',
    'need the way (`http`, `websocket`) in `clientSend` of the domain, `show`, `presences`, `members`, `join`, `leave` and `history`',
    'need `clientCalls`; `offline` (with `all` `1` for all clients of the user) and `received` are always there. Parameters are those of the calls of the same names, a room is',
    '`room`. Who sends is never asked: it is the owner of the ticket. A refused call has a reply with `"status":"error"`, in an',
    'answer of 200. As `text/plain` a page needs no preflight.',
  ].join(' '),
  tags: ['Messages'],
  security: [{ ticket: [] }],
  parameters: EXAMPLE_IDENTITY,
  requestBody: {
    required: true,
    content: {
      'application/json': { schema: oneOrMore(CALL), examples: { message: example } },
      'text/plain': { schema: { type: 'string' }, examples: { message: { value: JSON.stringify(example.value) } } },
    },
  },
  responses: {
    200: {
      description: 'The reply, or the list of replies.',
      content: {
        'application/json': {
          schema: oneOrMore(REPLY),
          examples: {
            message: {
              summary: 'Accepted',
              value: { reply: '1', status: 'ok', id: '01M8A2D1JK002KQHZGJNB0YGMH', outcome: 'delivered' },
            },
          },
        },
      },
    },
    ...refusals('A parameter is missing, the origin is not allowed, or the body is no JSON.'),
    413: { $ref: '#/components/responses/PayloadTooLarge' },
    415: { $ref: '#/components/responses/UnsupportedMediaType' },
  },
};
