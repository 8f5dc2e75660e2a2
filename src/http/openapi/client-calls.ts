/** POST /v5/packets, what a client asks and sends itself (PROTOCOL.md section 14), which no schema of a route checks. */
import { badRequest, TICKET_NOT_FOUND } from '../../errors.js';
import { EXAMPLE_TICKET } from './calls.js';
import { errorResponse } from './errors.js';
import type { JsonSchema, Operation } from './types.js';

const CALL: JsonSchema = {
  type: 'object',
  required: ['call'],
  properties: {
    call: {
      enum: ['message', 'status', 'show', 'presences', 'members', 'join', 'leave', 'history', 'offline', 'received'],
    },
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
    presences: { $ref: '#/components/schemas/Presences' },
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
  parameters: [
    {
      name: 'domain',
      in: 'query',
      required: true,
      description: "The site's domain.",
      schema: { type: 'string' },
    },
    {
      name: 'ticket',
      in: 'query',
      required: true,
      description: 'The ticket, as ONLINE answered it.',
      schema: { type: 'string' },
      example: EXAMPLE_TICKET,
    },
  ],
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
            message: { summary: 'Accepted', value: { reply: '1', status: 'ok', id: '01M8A2D1JK002KQHZGJNB0YGMH' } },
          },
        },
      },
    },
    400: errorResponse(
      { error: badRequest('ticket is required'), when: 'A parameter is missing, or the body is no JSON.' },
      'Error',
    ),
    404: errorResponse(
      { error: TICKET_NOT_FOUND, when: 'The ticket is unknown, expired or of another domain.' },
      'Error',
    ),
    413: { $ref: '#/components/responses/PayloadTooLarge' },
    415: { $ref: '#/components/responses/UnsupportedMediaType' },
    503: { $ref: '#/components/responses/Unavailable' },
  },
};
