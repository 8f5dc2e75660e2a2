/** One REST call, from its head to its answer. */
import { performance } from 'node:perf_hooks';
import type { Domain } from '../actors/domain.js';
import type { ReplyError } from '../errors.js';
import type { Caller } from '../protocols/api-keys.js';
import { clientAddress } from '../protocols/client-address.js';
import { peerOf } from '../protocols/connection-limits.js';
import type { Context } from '../protocols/context.js';
import type { Parameters } from '../protocols/parameters.js';
import type { HttpResponse } from '../uws.js';
import type { PublicPorts } from './public-url.js';
import { OK_BODY, sendError, sendJson } from './reply.js';
import type { Head, Upload, Uploader } from './request.js';

/** What a call needs to know of its route. */
export interface Called {
  readonly route: { readonly name: string; readonly errorFields?: object };
  /** Percent-decoded; null where it is not UTF-8, empty where the route has none. */
  readonly roomId: string | null;
}

/**
 * What the handler of a call gets once the caller is authenticated, and what it answers through, once. The client may be
 * gone by then.
 */
export class Call<F extends Called = Called> implements Uploader, Caller {
  domain!: Domain;
  parameters!: Parameters;
  /** uWebSockets.js gathers what is written while it reads a request; later answers gather for themselves. */
  isReading = true;
  /** The request's body while it comes in pieces; null: it does not. */
  upload: Upload | null = null;
  /** Access-Control-Allow-Origin of the answer; null: none, the call is not for pages. */
  allowOrigin: string | null = null;
  #open = true;
  readonly #startedAt = performance.now();

  constructor(
    readonly context: Context,
    readonly found: F,
    readonly head: Head,
    readonly ports: PublicPorts,
    private readonly res: HttpResponse,
  ) {
    res.onAborted(() => {
      this.#open = false;
      this.upload?.release();
    });
  }

  /** Percent-decoded; empty where the path has none. */
  get roomId(): string {
    return this.found.roomId ?? '';
  }

  /** Whether the client is there and has not been answered. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** The client's network address. Call it only before the answer: uWebSockets.js forgets it then. */
  address(): string {
    const { trustProxy } = this.context.config();
    return clientAddress(peerOf(this.res), this.head.headers.forwardedFor, trustProxy);
  }

  /** Answers 200 with this JSON. */
  reply(body: string): void {
    if (!this.#open) return;
    this.#open = false;
    const isLast = this.context.isDraining();
    if (this.isReading) sendJson(this.res, body, this.allowOrigin, isLast);
    else this.res.cork(() => sendJson(this.res, body, this.allowOrigin, isLast));
    this.#answered(200);
  }

  fail(error: ReplyError): void {
    if (!this.#open) return;
    this.#open = false;
    const { metrics } = this.context.runtime;
    const who = { domain: error.domain ?? this.domain?.name ?? '', address: this.address() };
    sendError(this.res, metrics, error, this.found.route.errorFields, false, who, this.allowOrigin);
    this.#answered(error.status);
  }

  #answered(status: number): void {
    const { metrics } = this.context.runtime;
    metrics.route(this.found.route.name).answered(status, performance.now() - this.#startedAt);
  }

  /** Answers `{"status":"ok"}`, or the error. */
  ok(result: ReplyError | null): void {
    if (result === null) this.reply(OK_BODY);
    else this.fail(result);
  }
}
