/**
 * Requests to all workers. Each worker has an admin port of its own, on loopback, with a token that only the parent
 * knows. A worker that starts, dies or hangs gives no answer that counts: it is named instead.
 */
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { VIEWER_HEADER, viewerHeader } from '../admin/auth.js';
import type { Viewer } from '../directory/operations.js';

/** How long a worker may take to answer. */
const answerMs = 2000;

/** A worker's own admin port. */
export interface WorkerPort {
  readonly name: string;
  /** Null while the worker does not serve. */
  readonly url: string | null;
  readonly token: string;
  /** How often this worker has been replaced. */
  readonly restarts: number;
}

interface Answer {
  readonly status: number;
  /** The worker's Content-Type header; empty where there was none. */
  readonly type: string;
  readonly body: string;
}

/** What came of a request to all workers. */
export interface Answers<T> {
  /** By the worker's name, in the order of the workers. */
  readonly counted: ReadonlyMap<string, T>;
  /** Workers whose answers, if any, cannot be used. */
  readonly notCounted: readonly string[];
  /** Why the request is refused, where a worker answered 400. */
  readonly refused: string | null;
}

/** One path for all workers, or a path for each. */
type Path = string | ((worker: string) => string);

/** A request with a body, for one worker. */
export interface Forwarded {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly body: string;
}

export class Requests {
  constructor(
    readonly ports: () => readonly WorkerPort[],
    /** For whom the workers are asked; null: for the server itself. */
    private readonly viewer: Viewer | null = null,
  ) {}

  /** Requests for somebody, whom the workers let see what may be seen. */
  as(viewer: Viewer | null): Requests {
    return new Requests(this.ports, viewer);
  }

  /** Sends a request to the first worker that answers it; null: none does. All workers hold the same. */
  async forward(request: Forwarded): Promise<Answer | null> {
    for (const { url, token } of this.ports()) {
      const answer = url === null ? null : await this.#ask(request, url, token);
      // A change that was not answered may have been made: it is not made twice.
      if (answer || (url !== null && request.method !== 'GET')) return answer;
    }
    return null;
  }

  #ask({ method, path, body }: Forwarded, url: string, token: string): Promise<Answer | null> {
    return requestWorker(method, `${url}${path}`, token, this.viewer, body);
  }

  /** Answers count that have status 200 and that `read` can read. Status 400 says why the request is refused. */
  async send<T>(
    path: Path,
    read: (body: string) => T,
    method = 'GET',
    only: ReadonlySet<string> | null = null,
  ): Promise<Answers<T>> {
    const ports = this.ports().filter(({ name }) => only?.has(name) ?? true);
    const pathFor = typeof path === 'string' ? () => path : path;
    const answers = await Promise.all(
      ports.map(({ name, url, token }) =>
        url === null ? null : this.#ask({ method, path: pathFor(name), body: '' }, url, token),
      ),
    );
    const counted = new Map<string, T>();
    const notCounted: string[] = [];
    let refused: string | null = null;
    for (const [i, { name }] of ports.entries()) {
      const answer = answers[i] ?? null;
      if (answer?.status === 400) refused ??= readOrNull(answer.body, messageOf) ?? 'bad request';
      else {
        const value = answer?.status === 200 ? readOrNull(answer.body, read) : null;
        if (value === null) notCounted.push(name);
        else counted.set(name, value);
      }
    }
    return { counted, notCounted, refused };
  }

  /** `only`: to these workers alone. */
  sendJson<T>(path: Path, method = 'GET', only: ReadonlySet<string> | null = null): Promise<Answers<T>> {
    return this.send<T>(path, JSON.parse, method, only);
  }

  /** The answer of each worker's `/readyz`, whatever its status; null where a worker gave none. */
  async readiness(): Promise<readonly { readonly name: string; readonly answer: Answer | null }[]> {
    const request = { method: 'GET', path: '/readyz', body: '' };
    return Promise.all(
      this.ports().map(async ({ name, url, token }) => ({
        name,
        answer: url === null ? null : await this.#ask(request, url, token),
      })),
    );
  }
}

function readOrNull<T>(body: string, read: (body: string) => T): T | null {
  try {
    return read(body);
  } catch {
    return null;
  }
}

function messageOf(body: string): string {
  return String((JSON.parse(body) as { message: unknown }).message);
}

/** Null where the worker is ending, or too busy to answer in time. */
function requestWorker(
  method: string,
  url: string,
  token: string,
  viewer: Viewer | null,
  body: string,
): Promise<Answer | null> {
  return new Promise((resolve) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(viewer ? { [VIEWER_HEADER]: viewerHeader(viewer) } : {}),
      ...(body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
    };
    const signal = AbortSignal.timeout(answerMs);
    const asked = request(url, { method, headers, agent: false, signal }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body }),
        () => resolve(null),
      );
    });
    asked.once('error', () => resolve(null));
    asked.end(body);
  });
}
