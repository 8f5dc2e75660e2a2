/** MESSAGES, PUSH and STATUSES: PROTOCOL.md section 3. */
import { message, status } from '../protocols/commands.js';
import type { Call } from './call.js';

export function messagesCall({ domain, parameters, ok }: Call): void {
  message(domain, parameters, ok);
}

export function statusesCall({ domain, parameters, ok }: Call): void {
  status(domain, parameters, ok);
}
