/**
 * What a call throws: the server's refusal, or that it could not be asked.
 *
 * `status` is the HTTP status, or 0 where no answer came: then `message` is `timeout` or `connection failed`.
 */
export class NexTalkError extends Error {
  override readonly name = 'NexTalkError';
  readonly status: number;
  /** What is wrong with a parameter (400), or what the system says of a connection. */
  readonly detail: string | undefined;
  /** Seconds after which the server wants to be asked again (429, 503). */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, detail?: string, more: { retryAfter?: number; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.status = status;
    this.detail = detail;
    this.retryAfter = more.retryAfter;
  }
}
