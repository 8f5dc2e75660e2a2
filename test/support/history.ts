/** Servers that keep a history, and what tests ask of it. */
import type { Params } from './http.js';
import { type Cleaner, type Settings, siteA, siteB, type TestServer, testServer } from './server.js';
import type { Person, Site } from './site.js';
import type { WebSocketClient } from './websocket.js';

export const ALL = { clientCalls: true, clientSend: ['mqtt', 'websocket', 'http'], clientJoin: ['*'], history: {} };

export interface Message {
  readonly from: string;
  readonly to: string;
  readonly body: string;
  readonly id: string;
  readonly [name: string]: string;
}

export interface Page {
  readonly messages: readonly Message[];
  readonly conversations: readonly { readonly with: string; readonly last: Message; readonly unread: number }[];
  readonly next?: string;
}

export function serve(
  t: Cleaner & { testdir(): string },
  settings: Settings = {},
  more: Settings = {},
  data = t.testdir(),
): Promise<TestServer> {
  const domains = [
    { ...siteA, ...ALL, ...settings },
    { ...siteB, ...ALL },
  ];
  return testServer(t, { data, domains, ...more });
}

export async function history(site: Site, name: string, query: Params = {}): Promise<Page> {
  const answer = await site.get('/v5/history', { name, ...query });
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.body as Page;
}

export async function bodies(site: Site, name: string, other: string, query: Params = {}): Promise<string[]> {
  return (await history(site, name, { with: other, ...query })).messages.map(({ body }) => body);
}

/** Who somebody has conversations with: unread and the latest body of each. */
export async function list(
  site: Site,
  name: string,
): Promise<(readonly [with_: string, unread: number, last: string])[]> {
  const { conversations } = await history(site, name);
  return conversations.map(({ with: other, unread, last }) => [other, unread, last.body] as const);
}

export async function forget(site: Site, query: Params) {
  const answer = await site.send({ method: 'DELETE', path: '/v5/history', query: { domain: site.domain, ...query } });
  return { status: answer.status, body: answer.body };
}

/** What a client is answered that calls over its WebSocket. */
export async function call(
  person: Person,
  params: object,
): Promise<Page & { status: string; message?: string; detail?: string }> {
  const socket = person.client as WebSocketClient;
  socket.send(JSON.stringify({ call: 'history', ref: '1', ...params }));
  return JSON.parse(await socket.text());
}
