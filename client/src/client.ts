/** The library as a module. */
import type { Chat, Options } from './chat.js';
import { chatOf } from './connect.js';

export type { Chat, Events, History, Options, Outgoing, Range, Sent } from './chat.js';
export type { State, StateChange } from './machine.js';
export { ChatError } from './outbox.js';
export type { Person } from './roster.js';
export type { Kind, Message, Presence, Status } from './wire.js';

/** Where the bundle has the file that shares a connection among tabs, beside its own. */
declare const TABS: string;

/** Connects a page to the server. Throws TypeError when the options cannot be meant. */
export function connect(options: Options): Chat {
  return chatOf(options, import.meta.url, () => import(TABS));
}
