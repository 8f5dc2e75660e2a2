/** One authenticated REST call, as its handler gets it. */
import type { Domain } from '../actors/domain.js';
import type { Config } from '../config.js';
import type { ReplyError } from '../errors.js';
import type { Parameters } from '../protocols/parameters.js';
import type { PublicPorts } from './presences.js';
import type { Origin } from './request.js';

export interface Call {
  readonly domain: Domain;
  readonly parameters: Parameters;
  /** Percent-decoded; empty where the path has none. */
  readonly roomId: string;
  /** Only where the route asks for it. */
  readonly origin: Origin | null;
  readonly config: Config;
  readonly ports: PublicPorts;
  /** Answers 200 with this JSON. */
  readonly reply: (body: string) => void;
  readonly fail: (error: ReplyError) => void;
  /** Answers `{"status":"ok"}`, or the error. */
  readonly ok: (result: ReplyError | null) => void;
}
