/** `nextalk domain …`: domains at run time from a shell, by the admin port of the server that runs. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { AdminConfig } from './config.js';

/** What the `domain` command is to do. */
export interface DomainCommand {
  readonly action: 'add' | 'list' | 'remove' | 'rotate';
  /** The domain; of `list`, a part of names. */
  readonly name: string;
  /** For `add`: a file with settings in the shape that they have in the configuration. */
  readonly settings?: string;
  /** For `rotate`: the fingerprint of the key to remove, instead of adding one. */
  readonly drop?: string;
  /** Whether the answer is for programs. */
  readonly json: boolean;
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Result {
  readonly exitCode: number;
  /** For stdout. */
  readonly out: string;
  /** For stderr. */
  readonly problems: readonly string[];
}

const ANSWER_MS = 30_000;
const PAGE = 500;

/** A host to connect to where the server listens on this one. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' || host === '[::]' ? '::1' : host.replace(/^\[|\]$/g, '');
}

/** The token of somebody who may do all. */
function tokenOf({ token }: AdminConfig): string | null {
  return [token ?? []].flat().find((one) => typeof one === 'string') ?? null;
}

function ask(admin: AdminConfig, method: string, path: string, body = ''): Promise<Answer> {
  const token = tokenOf(admin);
  const headers = {
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  const { port } = admin;
  const host = reachable(admin.host);
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, method, path, headers, timeout: ANSWER_MS }, (response) => {
      text(response).then((json) => {
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(json) as Answer['body'] });
        } catch {
          reject(new Error(`${host}:${port} gives answers that are not those of NexTalk's admin port`));
        }
      }, reject);
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.once('error', ({ message }) =>
      reject(new Error(`the admin port ${host}:${port} cannot be asked: ${message}`)),
    );
    asked.end(body);
  });
}

function refusalOf({ body: { message, detail, errors } }: Answer): string[] {
  if (Array.isArray(errors)) return errors.map(String);
  return [[message, detail].filter((part) => part !== undefined).join(': ')];
}

/** A line for each value: `apikey: …`. */
function linesOf(body: Answer['body']): string {
  const lines = Object.entries(body).map(([name, value]) => `${name}: ${[value].flat().join(', ')}\n`);
  const isSecret = 'apikey' in body || 'tokenSecret' in body;
  return lines.join('') + (isSecret ? 'Secrets are shown this once.\n' : '');
}

interface Row {
  readonly domain: string;
  readonly source: string;
  readonly endpoints: number;
  readonly connections: number;
}

async function list(admin: AdminConfig, { name, json }: DomainCommand): Promise<Result> {
  const rows: Row[] = [];
  for (let after: string | null = ''; after !== null; ) {
    const query = new URLSearchParams({ search: name, after, limit: String(PAGE) });
    const answer = await ask(admin, 'GET', `/api/domains?${query}`);
    if (answer.status !== 200) return { exitCode: 1, out: '', problems: refusalOf(answer) };
    rows.push(...(answer.body.domains as readonly Row[]));
    after = answer.body.next as string | null;
  }
  if (json) return { exitCode: 0, out: `${JSON.stringify(rows)}\n`, problems: [] };
  const lines = rows.map(
    (row) => `${row.domain}\t${row.source}\t${row.endpoints} online\t${row.connections} connected\n`,
  );
  return { exitCode: 0, out: lines.join(''), problems: [] };
}

/** The body of `PUT`, or why there is none. */
function settingsOf(file: string | undefined): { readonly body: string } | { readonly problem: string } {
  if (file === undefined) return { body: '{}' };
  try {
    return { body: readFileSync(file, 'utf8').replace(/^\ufeff/, '') };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return { problem: `${file}: cannot be read (${code})` };
  }
}

function change(admin: AdminConfig, { action, name, drop }: DomainCommand, body: string): Promise<Answer> {
  const path = `/api/domains/${encodeURIComponent(name)}`;
  if (action === 'add') return ask(admin, 'PUT', path, body);
  if (action === 'remove') return ask(admin, 'DELETE', path);
  return drop === undefined ? ask(admin, 'POST', `${path}/keys`) : ask(admin, 'DELETE', `${path}/keys/${drop}`);
}

/** Does it, and answers what to print. Nothing is thrown: what is wrong is a problem. */
export async function runDomainCommand(admin: AdminConfig, command: DomainCommand): Promise<Result> {
  const failed = (...problems: string[]): Result => ({ exitCode: 1, out: '', problems });
  if (admin.port <= 0) return failed('admin.port: is off or any free one: say which, with --admin-port');
  try {
    if (command.action === 'list') return await list(admin, command);
    const read = settingsOf(command.settings);
    if ('problem' in read) return failed(read.problem);
    if (command.action === 'add') {
      const known = await ask(admin, 'GET', `/api/domains/${encodeURIComponent(command.name)}`);
      if (known.status === 200) return failed(`${command.name}: is there already`);
    }
    const answer = await change(admin, command, read.body);
    if (answer.status >= 300) return failed(...refusalOf(answer));
    const out = command.json ? `${JSON.stringify(answer.body)}\n` : linesOf(answer.body);
    return { exitCode: 0, out, problems: [] };
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error));
  }
}
