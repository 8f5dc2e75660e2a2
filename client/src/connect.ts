/** From what a page asks for to a chat. */
import { browser } from './browser.js';
import { Chat, type Options } from './chat.js';
import { LocalEngine, storageKey } from './engine.js';
import { Identity } from './identity.js';
import { ChatError } from './outbox.js';
import type { Kind } from './wire.js';

/** Brings what shares a connection among tabs, a file of its own. */
export type LoadTabs = () => Promise<typeof import('./tabs.js')>;

const ALL: readonly Kind[] = ['websocket', 'events', 'poll'];

/** The server that a script came from: what stands before `/v5/`. null: the script came from somewhere else. */
export function serverOf(script: string | undefined): string | null {
  return /^(https?:\/\/.*)\/v5\/(?:client|widget)[^/]*$/.exec(script ?? '')?.[1] ?? null;
}

export function chatOf(options: Options, script: string | undefined, loadTabs: LoadTabs): Chat {
  if (options.online ? !options.domain : options.token === undefined) {
    throw new TypeError('connect needs `token`, or `online` and `domain`');
  }
  const server = options.server ?? serverOf(script);
  if (server === null && !options.online) throw new TypeError('connect needs `server`');
  if (server !== null && !/^https?:/.test(server)) throw new TypeError('connect needs `server` with http or https');
  const settings = {
    ...options,
    server,
    transports: options.transports ?? ALL,
    visible: options.visible ?? true,
    leaveOnClose: options.leaveOnClose ?? false,
  };
  if (!options.shareTabs) return new Chat(options, browser, settings);
  return new Chat(options, browser, settings, (...parts) =>
    loadTabs().then(
      ({ SharedEngine }) => new SharedEngine({ LocalEngine, Identity, ChatError, storageKey }, ...parts),
      // A server that does not have the file: each tab has a connection of its own.
      () => new LocalEngine(...parts),
    ),
  );
}
