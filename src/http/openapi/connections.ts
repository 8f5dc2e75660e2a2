/** The long connections (PROTOCOL.md sections 6 to 8) and a service's webhook (section 9), which no schema checks. */
import { CLOSE } from '../../errors.js';
import { IDENTITY, query, refusals } from './by-ticket.js';
import { EXAMPLE_MESSAGE, EXAMPLE_TICKET } from './calls.js';
import type { Operation } from './types.js';
import { SIGNED } from './webhooks.js';

const FRAME = { $ref: '#/components/schemas/Frame' };

/** What the user `rose` of the examples is sent while `jack` runs through them. */
export const EXAMPLE_FRAME = {
  status: 'ok',
  messages: [EXAMPLE_MESSAGE],
  presences: [{ from: 'jack', to: 'rose', nick: 'Jack', type: 'show', show: 'dnd', status: 'in a meeting' }],
  statuses: [{ from: 'jack', to: 'rose', nick: 'Jack', show: 'typing' }],
};

const EMPTY_FRAME = { status: 'ok', messages: [], presences: [], statuses: [] };

export const PACKETS: Operation = {
  operationId: 'packets',
  summary: 'Wait for packets',
  description: [
    'A long poll. What is queued for the client is answered at once, as one frame; else the request waits until something',
    'arrives, or 25 seconds, and is answered with an empty frame. The page then asks again.\n\nA second poll with the same',
    'ticket ends the first one with an empty frame, OFFLINE ends it with `{"status":"stopped"}`. A poll that the browser',
    'gives up loses nothing. With `callback` the answer is a script (JSONP), without it JSON with CORS headers; the domain',
    'may list the origins whose pages are let in. With `position` nothing is lost on links that break: the frame of the first',
    'answer says where the client is, which then adds one for each packet, and `missed` where a frame has that.',
  ].join(' '),
  tags: ['Long polling'],
  security: [{ ticket: [] }],
  parameters: [
    ...IDENTITY,
    query('callback', false, 'The function to call: a dotted JavaScript identifier.', {
      type: 'string',
      maxLength: 128,
      pattern: '^[A-Za-z_$][A-Za-z0-9_$]*(\\.[A-Za-z_$][A-Za-z0-9_$]*)*$',
    }),
    query(
      'position',
      false,
      'How far the client has come: `0` the first time, `-` where it has not counted. It confirms.',
    ),
  ],
  responses: {
    200: {
      description: 'A frame.',
      content: {
        'application/json': {
          schema: FRAME,
          examples: {
            packets: { summary: 'What rose is sent', value: EXAMPLE_FRAME },
            empty: { summary: 'Nothing came', value: EMPTY_FRAME },
            stopped: { summary: 'The client was ended by OFFLINE', value: { status: 'stopped' } },
          },
        },
        'application/javascript': {
          schema: { type: 'string' },
          examples: { empty: { summary: 'callback=fn', value: `/**/fn(${JSON.stringify(EMPTY_FRAME)});` } },
        },
      },
    },
    429: { $ref: '#/components/responses/TooManyRequests' },
    ...refusals('A parameter is missing or malformed, or the origin is not allowed.'),
  },
};

export const EVENTS: Operation = {
  operationId: 'events',
  summary: 'Open a stream of events',
  description: [
    'Server-sent events, for `EventSource` and `fetch`. The data of each event is one frame, its id the position of the client',
    'after it, which the browser says when it comes back (`Last-Event-ID`) and so confirms. Every 15 seconds comes an event `ping`.',
    'The events `stopped` (OFFLINE was called) and `replaced` (a newer connection took over) mean: close the stream, and do',
    'not come again. The response ends when much is unconfirmed; the browser then comes again by itself.',
  ].join(' '),
  tags: ['Server-sent events'],
  security: [{ ticket: [] }],
  parameters: [
    ...IDENTITY,
    query('position', false, 'How far the client has come, where the browser says no `Last-Event-ID`; `0` without it.'),
  ],
  responses: {
    200: {
      description: [
        'Events until the connection ends. Where the client cannot be found yet, and `Accept` is `text/event-stream`,',
        'as `EventSource` has it: a line `retry`, by which that comes again.',
      ].join(' '),
      content: {
        'text/event-stream': {
          schema: { type: 'string' },
          examples: {
            packets: {
              summary: 'What rose is sent',
              value: `id: k3.3
data: ${JSON.stringify(EXAMPLE_FRAME)}

`,
            },
          },
        },
      },
    },
    429: { $ref: '#/components/responses/TooManyRequests' },
    ...refusals('A parameter is missing or malformed, or the origin is not allowed.'),
  },
};

const CLOSES: Readonly<Record<keyof typeof CLOSE, string>> = {
  stopped: 'OFFLINE was called for the ticket',
  shutdown: 'the server goes down: connect again',
  moved: 'another node goes on with the client: connect again',
  binary: 'binary data was sent',
  tooLarge: 'a text or packet was too long',
  badRequest: 'the first text was malformed',
  ticketNotFound: 'the ticket is unknown: come online again',
  banned: 'the client, its endpoint or its address is banned',
  tryAgainLater:
    'the domain has too many connections, the client comes and goes too often, or it cannot be found yet: wait',
  subscribeTimeout: 'no first text in time',
  replaced: 'a newer connection with the same ticket took over',
};

const closeCodes = Object.entries(CLOSES).map(
  ([key, when]) => `- \`${CLOSE[key as keyof typeof CLOSE].webSocketCode}\` ${when}`,
);

export const WEBSOCKET: Operation = {
  operationId: 'websocket',
  summary: 'Open a WebSocket',
  description: [
    'Within 10 seconds the page sends the text',
    `\`\`\`\nsubscribe {domain} {ticket}\n\`\`\``,
    'The server answers `{"status":"ok"}` and then sends frames as packets come, first those that were queued. An unknown ' +
      'ticket is answered with `{"status":"error","message":"ticket not found"}`. The text `heartbeat` is accepted and not ' +
      'answered, the text `ping` is answered `pong`, and a JSON object with `call` is a call, as `POST /v5/packets` takes it; any ' +
      'other text is ignored. The server pings.',
    'With `resume {domain} {position} {ticket}` instead nothing is lost on links that break. The position is `0` the first time; the ' +
      'answer says it, `{"status":"ok","position":"…"}`, and the client adds one for each packet, and `missed` where a frame has that. ' +
      '`ping {position}` (answered `pong`) and `received {position}` confirm what has arrived; until then it is kept. A number beyond what was sent ' +
      'counts as the last one sent.',
    'Closing a socket is not OFFLINE: the client has 10 seconds to come back, by socket or poll, and its packets are kept ' +
      'meanwhile. The server closes with',
    closeCodes.join('\n'),
  ].join('\n\n'),
  tags: ['WebSocket'],
  security: [{ ticket: [] }],
  responses: {
    101: { description: 'The connection is a WebSocket from here on.' },
    429: { $ref: '#/components/responses/TooManyRequests' },
    503: { $ref: '#/components/responses/Unavailable' },
  },
};

export const MQTT: Operation = {
  operationId: 'mqtt',
  summary: 'MQTT over WebSocket',
  description:
    'A WebSocket of the subprotocol `mqtt`, which carries the same MQTT as the TCP port. Its messages are binary.',
  tags: ['MQTT'],
  security: [{ ticket: [] }],
  responses: {
    101: { description: 'The connection is a WebSocket from here on.' },
    429: { $ref: '#/components/responses/TooManyRequests' },
    503: { $ref: '#/components/responses/Unavailable' },
  },
};

export const MQTT_TEXT = `MQTT 3.1, 3.1.1 and 5.0, over TCP (the address that ONLINE answers as \`mqtt\`), TLS and WebSocket.
The user name of CONNECT is the domain.

**With a ticket as password** (\`${EXAMPLE_TICKET}\`) the connection is that client of its endpoint:

- It receives its packets without subscribing, as QoS 1 publications on \`/domain/{domain}/{node}/{id}\`, one frame each.
- It publishes to an address, such as \`/domain/example.com/uid/rose\`, a JSON object
  \`{"body":"hi","nick":"Jack","style":"","timestamp":"…"}\`, or plain text, which is then the body.
- It may subscribe to its own queue and the rooms it is in; anything else is refused.

**With an API key as password** it is a backend of the site:

- Publishing to an address is a push: the JSON needs \`from\`.
- Wildcards over addresses, such as \`/domain/example.com/gid/+\`, watch: one frame for each packet to those endpoints or rooms.
- On any other topic it is a complete MQTT broker, whose topics are private to the domain.`;

/** POSTed by the server to the site. */
export const WEBHOOK: Operation = {
  operationId: 'serviceMessage',
  summary: 'A message to a service',
  description: [
    "Messages to a service whose configuration has a webhook are POSTed to the site's URL, one after another. Any answer of",
    'the 200s takes it; errors of the site or network are tried again with growing pauses.',
    SIGNED,
  ].join(' '),
  tags: ['Webhooks'],
  security: [],
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: { $ref: '#/components/schemas/MessagePacket' },
        examples: {
          message: { value: { ...EXAMPLE_MESSAGE, to: 'sid:help', body: 'Where is my order?' } },
        },
      },
    },
  },
  responses: { 200: { description: 'Taken.' } },
};
