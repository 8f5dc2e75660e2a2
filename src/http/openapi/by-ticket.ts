/** What the operations have in common that a page runs with its ticket alone: PROTOCOL.md sections 6, 13 and 14. */
import { BANNED, badRequest } from '../../errors.js';
import { EXAMPLE_TICKET } from './calls.js';
import { errorResponse } from './errors.js';
import type { JsonSchema, Operation, Parameter } from './types.js';

export function query(
  name: string,
  required: boolean,
  description: string,
  schema: JsonSchema = { type: 'string' },
): Parameter {
  return { name, in: 'query', required, description, schema };
}

const DOMAIN = query('domain', true, "The site's domain.");
const TICKET = query('ticket', true, 'The ticket, as ONLINE answered it. It is all the right that is needed.');

/** Whom a request is from that waits for packets. */
export const IDENTITY: readonly Parameter[] = [DOMAIN, TICKET];

/** Whom a request is from that can be tried as it stands: a parameter's example makes a command of it on the page. */
export const EXAMPLE_IDENTITY: readonly Parameter[] = [DOMAIN, { ...TICKET, example: EXAMPLE_TICKET }];

/** The responses of a connection or request that is not let in; `malformed`: when it is a bad request. */
export function refusals(malformed: string): Operation['responses'] {
  return {
    400: errorResponse({ error: badRequest('ticket is required'), when: malformed }, 'Error'),
    403: errorResponse({ error: BANNED, when: 'The client, its endpoint or its address is banned.' }, 'Error'),
    404: { $ref: '#/components/responses/TicketNotFound' },
    503: { $ref: '#/components/responses/Unavailable' },
  };
}
