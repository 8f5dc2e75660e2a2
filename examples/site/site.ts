/**
 * The example site: a community with a board, and a chat that the message server brings. See README.md beside this file.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { NexTalk } from '../../sdk/node/src/index.js';
import { Community, type Person } from './community.js';
import { boardPage, lobbyPage, signInPage, type View } from './pages.js';

export interface SiteOptions {
  /** 0 takes a free port. */
  readonly port: number;
  /** Where the site's backend, and browsers, reach the message server. */
  readonly server: string;
  readonly domain: string;
  readonly apikey: string;
  readonly tokenSecret: string;
}

export interface RunningSite {
  readonly url: string;
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const BODY_BYTES = 8 * 1024;
/** The site's own voice, a service. */
const NOTICES = 'sid:harbour';
const ROOM = 'lobby';

const TYPES = new Map([
  ['.css', 'text/css'],
  ['.js', 'text/javascript'],
  ['.svg', 'image/svg+xml'],
]);

interface StaticFile {
  readonly type: string;
  readonly content: Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

class Harbour {
  readonly community = new Community();
  readonly #files = staticFiles();
  readonly #chat: NexTalk;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(private readonly options: SiteOptions) {
    const { server, domain, apikey: apiKey, tokenSecret } = options;
    this.#chat = new NexTalk({ server, domain, apiKey, tokenSecret });
    this.#headers = pageHeaders(new URL(server));
  }

  async respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const file = this.#files.get(path);
    if (file && request.method === 'GET') {
      response.writeHead(200, { ...this.#headers, 'content-type': file.type }).end(file.content);
      return;
    }
    const me = this.community.signedIn(/(?:^|; )session=(\w+)/.exec(request.headers.cookie ?? '')?.[1]);
    const answer = request.method === 'POST' ? await this.#post(path, request, me) : this.#get(path, me);
    response.writeHead(answer.status, { ...this.#headers, ...answer.headers }).end(answer.body);
  }

  #get(path: string, me: Person | null): Answer {
    if (path === '/chat-token') return me ? plain(200, this.#token(me)) : plain(401, 'please sign in\n');
    if (path !== '/' && path !== '/lobby') return plain(404, 'not found\n');
    if (!me) return html(200, signInPage(null));
    const { people, posts } = this.community;
    const view: View = { server: this.options.server, me, people: people.values(), posts };
    return html(200, path === '/' ? boardPage(view) : lobbyPage(view));
  }

  /** Who the chat is for: the page comes online with it by itself. */
  #token({ id, nick }: Person): string {
    const buddies = [...this.community.people.keys()].filter((other) => other !== id);
    return this.#chat.token(id, { nick, buddies, rooms: [ROOM] });
  }

  async #post(path: string, request: IncomingMessage, me: Person | null): Promise<Answer> {
    const form = await readForm(request);
    if (form === null) return plain(413, 'that is too much\n');
    if (path === '/signin') return this.#signIn(form.get('name'));
    if (path === '/signout' && me) await this.#signOut(me);
    if (path === '/post' && me) this.#pin(me, form.get('body'));
    return seeOther('/');
  }

  #signIn(name: string | null): Answer {
    const session = this.community.signIn(name);
    if (session === null) return html(400, signInPage('A name has 1 to 40 characters.'));
    return seeOther('/', { 'set-cookie': `session=${session}; HttpOnly; SameSite=Lax; Path=/` });
  }

  /** Whoever signs out of the site has left its chat, in all tabs. */
  async #signOut(me: Person): Promise<void> {
    this.community.signOut(me);
    await this.#chat.offline({ name: me.id }).catch(complain);
  }

  /** Nobody's note waits for the chat to hear of it, or fails with it. */
  #pin(me: Person, text: string | null): void {
    const post = this.community.post(me, text);
    if (!post) return;
    const body = `${me.nick} has pinned a note: ${post.body}`;
    void this.#chat.send({ from: NOTICES, nick: 'Harbour', to: ROOM, type: 'grpchat', body }).catch(complain);
  }
}

function complain(error: unknown): void {
  console.error(error instanceof Error ? error.message : error);
}

function html(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body };
}

function plain(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body };
}

function seeOther(location: string, more: Readonly<Record<string, string>> = {}): Answer {
  return { status: 303, headers: { location, ...more } };
}

/** The files of `page/`, read once; nothing else of the disk can be asked for. */
function staticFiles(): ReadonlyMap<string, StaticFile> {
  const folder = new URL('page/', import.meta.url);
  const files = readdirSync(folder).flatMap((name) => {
    const type = TYPES.get(extname(name));
    if (!type) return [];
    const content = readFileSync(new URL(name, folder));
    return [[`/${name}`, { type: `${type}; charset=utf-8`, content }] as const];
  });
  return new Map(files);
}

/** A page may load from the site and the message server, and nothing else: neither the widget nor the site needs more. */
function pageHeaders({ protocol, host, origin }: URL): Readonly<Record<string, string>> {
  const socket = `${protocol === 'https:' ? 'wss' : 'ws'}://${host}`;
  const policy = [
    "default-src 'none'",
    `script-src 'self' ${origin}`,
    `connect-src 'self' ${origin} ${socket}`,
    "style-src 'self'",
    `img-src 'self' ${origin}`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  };
}

/** null: it is longer than any form of the site. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams | null> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request) {
    const buffer: Buffer = piece;
    bytes += buffer.length;
    if (bytes <= BODY_BYTES) pieces.push(buffer);
  }
  return bytes > BODY_BYTES ? null : new URLSearchParams(Buffer.concat(pieces).toString());
}

/** Starts the site. Rejects when the port is taken. */
export async function startSite(options: SiteOptions): Promise<RunningSite> {
  const harbour = new Harbour(options);
  const server = createServer((request, response) => {
    harbour.respond(request, response).catch((error: unknown) => {
      complain(error);
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, HOST, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    url: `http://${HOST}:${port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
