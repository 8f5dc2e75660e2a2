import type { JsonSchema, OpenApi, Operation } from '../../src/http/openapi/types.js';
import type { CallName } from '../../src/protocols/schemas.js';

interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** Whether the call is answered 404 where its ticket is unknown. */
  readonly ticket: boolean;
  /** Statuses with which it is refused, besides those of all calls. */
  readonly refused?: readonly string[];
}

/** The calls of PROTOCOL.md sections 3 and 19, written down once more: what the description is held to. */
export const CALLS: Readonly<Record<CallName, Call>> = {
  online: { method: 'POST', path: '/v5/presences/online', ticket: false, refused: ['403'] },
  offline: { method: 'POST', path: '/v5/presences/offline', ticket: true },
  show: { method: 'POST', path: '/v5/presences/show', ticket: true },
  presences: { method: 'GET', path: '/v5/presences', ticket: false },
  allPresences: { method: 'GET', path: '/v5/presences/all', ticket: false },
  message: { method: 'POST', path: '/v5/messages', ticket: true },
  push: { method: 'POST', path: '/v5/messages', ticket: true },
  status: { method: 'POST', path: '/v5/statuses', ticket: true },
  members: { method: 'GET', path: '/v5/rooms/{roomId}/members', ticket: true },
  join: { method: 'POST', path: '/v5/rooms/{roomId}/join', ticket: true },
  leave: { method: 'POST', path: '/v5/rooms/{roomId}/leave', ticket: true },
  history: { method: 'GET', path: '/v5/history', ticket: false, refused: ['403'] },
  forget: { method: 'DELETE', path: '/v5/history', ticket: false, refused: ['403', '404'] },
  groupJoin: { method: 'POST', path: '/v5/group/join', ticket: true },
  groupLeave: { method: 'POST', path: '/v5/group/leave', ticket: true },
  groupMembers: { method: 'GET', path: '/v5/group/members', ticket: true },
  chatsOpen: { method: 'POST', path: '/v5/chats/open', ticket: true },
  chatsClose: { method: 'POST', path: '/v5/chats/close', ticket: true },
};

export function operationAt(document: OpenApi, method: string, path: string): Operation | undefined {
  return document.paths[path]?.[method.toLowerCase() as 'get' | 'post' | 'delete'];
}

/** What the description says that a call takes, its path's own parameters left out. */
export function schemaOf(
  document: OpenApi,
  call: CallName,
): { readonly fields: ReadonlyMap<string, JsonSchema>; readonly required: readonly string[] } {
  const { method, path } = CALLS[call];
  const operation = operationAt(document, method, path);
  if (method !== 'POST') {
    const query = (operation?.parameters ?? []).filter((parameter) => parameter.in === 'query');
    const fields = query.map(({ name, schema, description }) => [name, { ...schema, description }] as const);
    return { fields: new Map(fields), required: query.filter(({ required }) => required).map(({ name }) => name) };
  }
  const name = `${call[0]?.toUpperCase()}${call.slice(1)}Call`;
  const body = JSON.stringify(operation?.requestBody);
  if (!body.includes(`#/components/schemas/${name}`)) throw new Error(`the body of ${path} is no ${name}`);
  const { properties, required, anyOf } = document.components.schemas[name] as {
    properties: Record<string, JsonSchema>;
    required: string[];
    /** A ticket, or in its place a name. */
    anyOf?: { required: string[] }[];
  };
  return { fields: new Map(Object.entries(properties)), required: [...(anyOf?.[0]?.required ?? []), ...required] };
}
