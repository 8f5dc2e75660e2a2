/** What the server POSTs to a site as it happens: PROTOCOL.md section 17. */
import { EVENT_KINDS } from '../../event-kinds.js';
import type { JsonSchema, Operation } from './types.js';

export const SIGNED =
  '`X-NexTalk-Signature` is `sha256=` and the hex HMAC-SHA256 of the body, keyed with the `webhookSecret` of the domain (several: a ' +
  'signature each, separated by commas), else with its first API key; `X-NexTalk-Domain` names the domain.';

const text = { type: 'string' };
const whole = { type: 'integer' };

export const EVENT_SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  Event: {
    type: 'object',
    description:
      'Something that has happened. `name`, `nick` and `show` are those of an endpoint, `since` of one that is offline, `room` a ' +
      'room; `packet` a message, and `outcome` what became of one that found nobody. `missed` has a `count` and no `id`. Further ' +
      'kinds and fields are to be ignored.',
    required: ['kind'],
    properties: {
      id: { ...text, description: 'The same where an event comes again.' },
      time: { ...whole, description: 'Milliseconds since 1970.' },
      kind: { ...text, examples: [...EVENT_KINDS, 'missed', 'failed', 'test'] },
      name: text,
      nick: text,
      show: text,
      since: whole,
      room: text,
      packet: { $ref: '#/components/schemas/MessagePacket' },
      outcome: { enum: ['queued', 'stored', 'dropped'] },
      count: whole,
    },
  },
  Events: {
    type: 'object',
    required: ['domain', 'events'],
    properties: { domain: text, events: { type: 'array', items: { $ref: '#/components/schemas/Event' } } },
  },
};

export const EVENTS_WEBHOOK: Operation = {
  operationId: 'eventWebhook',
  summary: 'What has happened to the domain',
  description: [
    'A domain whose configuration has `events` is told of the kinds that it names: in order for each endpoint and room, at least',
    'once, up to 100 in a POST, one POST at a time. Any answer of the 200s acknowledges them; 408, 425, 429, those of the 300s and 500s and',
    'silence are tried again with growing pauses for a day; any other is final.',
    SIGNED,
  ].join(' '),
  tags: ['Webhooks'],
  security: [],
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: { $ref: '#/components/schemas/Events' },
        examples: {
          online: {
            value: {
              domain: 'example.com',
              events: [
                {
                  id: '01M8A2D0RX000W2BC7FXPPGX6Q',
                  time: 1795634396635,
                  kind: 'online',
                  name: 'jack',
                  nick: 'Jack',
                  show: 'available',
                },
              ],
            },
          },
        },
      },
    },
  },
  responses: { 200: { description: 'Acknowledged.' } },
};
