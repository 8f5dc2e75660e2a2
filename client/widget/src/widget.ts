/** The widget as a module: it defines `<nextalk-chat>`. */
import { NexTalkChat } from './element.js';

export { NexTalkChat };

/** Where the bundle has the file that shares a connection among tabs, beside its own. */
declare const TABS: string;

NexTalkChat.script = { url: import.meta.url, loadTabs: () => import(TABS) };

// A page that has the script twice keeps the first.
if (!customElements.get('nextalk-chat')) customElements.define('nextalk-chat', NexTalkChat);
