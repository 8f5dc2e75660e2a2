/** An error as every transport writes it: PROTOCOL.md section 3. */
import type { ReplyError } from '../errors.js';

export function errorBody({ message, detail, saysWhen, retryAfterS }: ReplyError, extra: object = {}): string {
  return JSON.stringify({ ...extra, status: 'error', message, detail, ...(saysWhen && { retryAfter: retryAfterS }) });
}
