/** The paths of the REST API: `/v5` and `/v4`, a trailing slash changes nothing. PROTOCOL.md section 3. */
import { badRequest, methodNotAllowed, NOT_FOUND, type ReplyError } from '../errors.js';
import { join, leave, offline, show, status } from '../protocols/commands.js';
import { groupLeave } from '../protocols/dialect.js';
import { forget } from '../protocols/history.js';
import type { CallName } from '../protocols/schemas.js';
import type { Call, Called } from './call.js';
import { chatsCloseCall, chatsOpenCall, groupJoinCall, groupMembersCall } from './dialect.js';
import { historyCall } from './history.js';
import { BATCH_BYTES, batchCall, messagesCall, readBatchParameters } from './messages.js';
import { allPresencesCall, membersCall, onlineCall, presencesCall } from './presences.js';
import { decodeSegment } from './request.js';

export interface Route {
  /** Its call, as PROTOCOL.md section 3 names it. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly run: (call: Call) => void;
  /** The calls it takes; the parameters of each are checked by its schema. */
  readonly calls: readonly CallName[];
  /** Whether a page may call the route by a signed token. */
  readonly takesToken?: true;
  /** What DELETE does at the same path. */
  readonly deleting?: Route;
  /** Reads its parameters in a way of its own. */
  readonly readParameters?: typeof readBatchParameters;
  /** Longest body, where it is not `limits.bodyBytes`. */
  readonly bodyBytes?: number;
  /** ONLINE's errors carry `"success":false`. */
  readonly errorFields?: object;
}

/** Runs a command whose only answer besides an error is `{"status":"ok"}`. */
function ok(command: typeof offline): Route['run'] {
  return (call) => command(call.domain, call.parameters, (result) => call.ok(result));
}

function okInRoom(command: typeof join): Route['run'] {
  return (call) => command(call.domain, call.roomId, call.parameters, (result) => call.ok(result));
}

const ROUTES = new Map<string, Route>([
  [
    'presences/online',
    {
      name: 'online',
      method: 'POST',
      run: onlineCall,
      calls: ['online'],
      takesToken: true,
      errorFields: { success: false },
    },
  ],
  ['presences/offline', { name: 'offline', method: 'POST', run: ok(offline), calls: ['offline'] }],
  ['presences/show', { name: 'show', method: 'POST', run: ok(show), calls: ['show'] }],
  ['presences', { name: 'presences', method: 'GET', run: presencesCall, calls: ['presences'] }],
  ['presences/all', { name: 'allPresences', method: 'GET', run: allPresencesCall, calls: ['allPresences'] }],
  ['messages', { name: 'messages', method: 'POST', run: messagesCall, calls: ['message', 'push'] }],
  [
    'messages/batch',
    {
      name: 'messagesBatch',
      method: 'POST',
      run: batchCall,
      calls: ['message', 'push'],
      readParameters: readBatchParameters,
      bodyBytes: BATCH_BYTES,
    },
  ],
  ['group/join', { name: 'groupJoin', method: 'POST', run: groupJoinCall, calls: ['groupJoin'] }],
  ['group/leave', { name: 'groupLeave', method: 'POST', run: ok(groupLeave), calls: ['groupLeave'] }],
  ['group/members', { name: 'groupMembers', method: 'GET', run: groupMembersCall, calls: ['groupMembers'] }],
  ['chats/open', { name: 'chatsOpen', method: 'POST', run: chatsOpenCall, calls: ['chatsOpen'] }],
  ['chats/close', { name: 'chatsClose', method: 'POST', run: chatsCloseCall, calls: ['chatsClose'] }],
  [
    'history',
    {
      name: 'history',
      method: 'GET',
      run: historyCall,
      calls: ['history'],
      deleting: { name: 'forget', method: 'DELETE', run: ok(forget), calls: ['forget'] },
    },
  ],
  ['statuses', { name: 'statuses', method: 'POST', run: ok(status), calls: ['status'] }],
]);

const ROOM_ROUTES = new Map<string, Route>([
  ['members', { name: 'members', method: 'GET', run: membersCall, calls: ['members'] }],
  ['join', { name: 'join', method: 'POST', run: okInRoom(join), calls: ['join'] }],
  ['leave', { name: 'leave', method: 'POST', run: okInRoom(leave), calls: ['leave'] }],
]);

/** Every route by its path under `/v5`, as the OpenAPI description names it. */
export const TEMPLATES: ReadonlyMap<string, Route> = new Map([
  ...ROUTES,
  ...[...ROOM_ROUTES].map(([action, route]) => [`rooms/{roomId}/${action}`, route] as const),
]);

/** Paths that have handlers of their own for the methods they take: only other methods come here. */
const PACKETS = /^\/v[45]\/packets\/?$/;
const EVENTS = /^\/v[45]\/events\/?$/;
const WSOCKET = /^\/v[45]\/wsocket\/?$/;

/** The API's description, served by reference.ts. */
const REFERENCE = /^\/v[45]\/(openapi\.json|docs)\/?$/;

export interface Found extends Called {
  readonly route: Route;
}

/** The route of a path, whatever the method; null where there is none. */
export function findRoute(path: string): Found | null {
  return PLAIN.get(path) ?? search(path);
}

function search(path: string): Found | null {
  const [empty, version, ...rest] = path.split('/');
  if (empty !== '' || (version !== 'v5' && version !== 'v4')) return null;
  if (rest.length > 1 && rest.at(-1) === '') rest.pop();
  const plain = ROUTES.get(rest.join('/'));
  if (plain) return { route: plain, roomId: '' };
  const [rooms, id, action] = rest;
  const route = rooms === 'rooms' && rest.length === 3 ? ROOM_ROUTES.get(action ?? '') : undefined;
  return route ? { route, roomId: decodeSegment(id ?? '') } : null;
}

/** Paths as clients write them, without a room. */
export const PLAIN: ReadonlyMap<string, Found> = new Map(
  ['v5', 'v4'].flatMap((version) => [...ROUTES].map(([path, route]) => [`/${version}/${path}`, { route, roomId: '' }])),
);

/** The same path's route for a method. */
export function forMethod(found: Found, method: string): Found {
  const { deleting } = found.route;
  return deleting && method === 'DELETE' ? { ...found, route: deleting } : found;
}

/** What is wrong with a request before its body is read: section 10, order of errors. */
export function refusal(found: Found | null, path: string, method: string): ReplyError | null {
  if (!found && PACKETS.test(path)) return methodNotAllowed('GET, POST, OPTIONS');
  if (!found && EVENTS.test(path)) return methodNotAllowed('GET, OPTIONS');
  if (!found && WSOCKET.test(path)) return method === 'GET' ? NO_UPGRADE : methodNotAllowed('GET');
  if (!found) return REFERENCE.test(path) ? methodNotAllowed('GET, HEAD, OPTIONS') : NOT_FOUND;
  const { method: own, takesToken, deleting } = found.route;
  if (own === method || deleting?.method === method) return null;
  return methodNotAllowed(deleting ? `${own}, DELETE` : takesToken ? `${own}, OPTIONS` : own);
}

const NO_UPGRADE = badRequest('Upgrade: websocket is required');

export const BAD_ROOM_ID = badRequest('the room is not percent-encoded UTF-8');
