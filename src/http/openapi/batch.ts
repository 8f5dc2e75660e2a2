/** POST /v5/messages/batch: many messages in one call. PROTOCOL.md section 11. */
import { BATCH_BYTES } from '../messages.js';
import { CALLS } from './calls.js';
import type { JsonSchema, Operation } from './types.js';

const MESSAGE: JsonSchema = {
  anyOf: [{ $ref: '#/components/schemas/MessageCall' }, { $ref: '#/components/schemas/PushCall' }],
};

/** As the generated operation of its route has it, but for what a batch takes and answers. */
export function batchOperation(generated: Operation): Operation {
  const [first, second] = [CALLS.push.example, { from: 'news', to: 'rose,a/b', body: 'News', receipt: '1' }];
  return {
    ...generated,
    operationId: 'messagesBatch',
    summary: 'Send many messages',
    description: [
      'Up to 1,000 messages in one call, each with the parameters of MESSAGES or PUSH and answered in its place as these are; one that is',
      'refused holds up no other. A message in a batch costs a fraction of one by itself. JSON only;',
      `the body has at most ${BATCH_BYTES / 1024} KiB, and ten times the values of other calls.`,
    ].join(' '),
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['messages'],
            properties: { messages: { type: 'array', maxItems: 1000, items: MESSAGE } },
          },
          examples: { batch: { summary: 'A message, and one that is refused', value: { messages: [first, second] } } },
        },
      },
    },
    responses: {
      ...generated.responses,
      200: {
        description: 'What became of each message, in order.',
        content: {
          'application/json': {
            schema: {
              type: 'object',
              required: ['status', 'results'],
              properties: {
                status: { const: 'ok' },
                results: {
                  type: 'array',
                  items: {
                    anyOf: [{ $ref: '#/components/schemas/MessageAnswer' }, { $ref: '#/components/schemas/Error' }],
                  },
                },
              },
            },
            examples: {
              batch: {
                summary: 'A message, and one that was refused',
                value: {
                  status: 'ok',
                  results: [
                    { status: 'ok' },
                    { status: 'error', message: 'bad request', detail: 'to is not a list of ids' },
                  ],
                },
              },
            },
          },
        },
      },
    },
  };
}
