/** Domains at run time, as an operator asks for them by the admin port. */
import type http from 'node:http';
import { type Answer, exchange } from '../support/http.js';
import type { TestServer } from '../support/server.js';

export interface Made {
  readonly domain: string;
  readonly apikey: string;
  readonly fingerprint: string;
  readonly tokenSecret: string;
}

/** The domains of one server, asked for with one token. */
export class Admin {
  constructor(
    readonly server: TestServer,
    private readonly token: string | null = null,
  ) {}

  ask(method: string, path: string, json?: unknown): Promise<Answer> {
    const headers: http.OutgoingHttpHeaders = this.token === null ? {} : { authorization: `Bearer ${this.token}` };
    return exchange(this.server.adminPort, { method, path, headers, ...(json === undefined ? {} : { json }) }).answer;
  }

  put(domain: string, settings: unknown = {}): Promise<Answer> {
    return this.ask('PUT', `/api/domains/${encodeURIComponent(domain)}`, settings);
  }

  patch(domain: string, settings: unknown): Promise<Answer> {
    return this.ask('PATCH', `/api/domains/${encodeURIComponent(domain)}`, settings);
  }

  get(domain: string): Promise<Answer> {
    return this.ask('GET', `/api/domains/${encodeURIComponent(domain)}`);
  }

  remove(domain: string): Promise<Answer> {
    return this.ask('DELETE', `/api/domains/${encodeURIComponent(domain)}`);
  }

  addKey(domain: string): Promise<Answer> {
    return this.ask('POST', `/api/domains/${encodeURIComponent(domain)}/keys`);
  }

  removeKey(domain: string, fingerprint: string): Promise<Answer> {
    return this.ask('DELETE', `/api/domains/${encodeURIComponent(domain)}/keys/${fingerprint}`);
  }

  /** Makes a domain; throws where that is refused. */
  async make(domain: string, settings: unknown = {}): Promise<Made> {
    const answer = await this.put(domain, settings);
    if (answer.status !== 201) throw new Error(`PUT ${domain} answered ${answer.status} ${answer.text}`);
    return answer.body as Made;
  }

  async names(query = ''): Promise<string[]> {
    const { domains } = (await this.ask('GET', `/api/domains${query}`)).body as { domains: { domain: string }[] };
    return domains.map(({ domain }) => domain);
  }
}
