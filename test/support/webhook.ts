import { createHmac } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { HANG_MS } from './hang.js';
import type { Cleaner } from './server.js';

export interface Called {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly body: unknown;
  readonly atMs: number;
}

export type Reply = number | 'hang';

/** A site's own endpoint that a service's webhook calls; `reply` decides each call's status, by its number from 0. */
export class WebhookServer {
  readonly calls: Called[] = [];
  readonly #server: http.Server;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  private constructor(reply: (nth: number) => Reply) {
    this.#server = http.createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const decision = reply(this.calls.length);
        this.#called(request, Buffer.concat(chunks).toString('utf8'));
        if (decision !== 'hang') response.writeHead(decision, { location: '/elsewhere' }).end();
      });
    });
  }

  static async start(t: Cleaner, reply: (nth: number) => Reply = () => 200): Promise<WebhookServer> {
    const webhook = new WebhookServer(reply);
    await new Promise<void>((resolve) => webhook.#server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => webhook.close());
    return webhook;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  async next(timeoutMs = HANG_MS): Promise<Called> {
    const nth = this.#taken++;
    if (nth >= this.calls.length) await this.#arrival(timeoutMs);
    const call = this.calls[nth];
    if (!call) throw new Error('no call');
    return call;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #arrival(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the webhook was not called within ${timeoutMs} ms`)), timeoutMs);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #called(request: http.IncomingMessage, text: string): void {
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      body = undefined;
    }
    const { method = '', url: path = '', headers } = request;
    this.calls.push({ method, path, headers, text, body, atMs: Date.now() });
    this.#waiting.shift()?.();
  }
}

/** The signature that a site computes to check a call. */
export function signature(apikey: string, text: string): string {
  return `sha256=${createHmac('sha256', apikey).update(text).digest('hex')}`;
}
