/** The library for a script tag: sets `NexTalk`. */
import type { Chat, Options } from './chat.js';
import { chatOf } from './connect.js';

import { ChatError } from './outbox.js';

// Only while the script runs for the first time does the document say which one it is.
const script = (globalThis.document?.currentScript as HTMLScriptElement | null | undefined)?.src;

/** Where the bundle has the file that shares a connection among tabs, beside its own. */
declare const TABS: string;

/** Connects a page to the server. Throws TypeError when the options cannot be meant. */
function connect(options: Options): Chat {
  return chatOf(options, script, () => import(new URL(TABS, script).href));
}

Object.assign(globalThis, { NexTalk: { connect, ChatError } });
