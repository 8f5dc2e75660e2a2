/** The custom element `<nextalk-chat>`. */
import { browser } from '../../src/browser.js';
import type { Chat, Options } from '../../src/chat.js';
import { chatOf, type LoadTabs, serverOf } from '../../src/connect.js';
import { listOf } from '../../src/identity.js';
import { h } from './dom.js';
import { Model } from './model.js';
import { Panel } from './panel.js';
import { isRtl, Speech, type Words } from './strings.js';
import { STYLE } from './style.js';

/** Attributes of which a change begins a new connection; a change of the others draws anew. */
const OF_CONNECTION: ReadonlySet<string> = new Set(['server', 'token', 'token-url', 'domain', 'rooms']);
const ATTRIBUTES = [...OF_CONNECTION, 'open-with', 'mode', 'lang', 'dir', 'image-hosts'];

/** What a page may hand in beside the attributes: tokens by a function, and the ways of NexTalk 5. */
export type ChatOptions = Pick<Options, 'online' | 'user' | 'send' | 'shareTabs' | 'leaveOnClose' | 'transports'>;

let sheet: CSSStyleSheet | undefined;

/** A style sheet of the constructor's is allowed by every Content-Security-Policy; Safari before 16.4 has an element. */
function style(root: ShadowRoot): void {
  if (!('adoptedStyleSheets' in root)) return void (root as ShadowRoot).append(h('style', {}, STYLE));
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
  }
  root.adoptedStyleSheets = [sheet];
}

/**
 * Fetches the visitor's sign-in token from `url`, the address that the site gives in the attribute `token-url`. The site answers the token
 * as plain text, or as a JSON object with the field `token`. Returns null for the statuses 204 and 401, by which the site says that nobody
 * is signed in, and for JSON without a token. Throws for any other status that is not a success, and for broken JSON.
 */
async function fetchToken(url: string): Promise<string | null> {
  const answer = await fetch(url, { credentials: 'same-origin', cache: 'no-store' });
  if (answer.status === 204 || answer.status === 401) return null;
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const text = (await answer.text()).trim();
  if (!text.startsWith('{')) return text;
  const { token } = JSON.parse(text) as { readonly token?: unknown };
  return typeof token === 'string' ? token : null;
}

export class NexTalkChat extends HTMLElement {
  static readonly observedAttributes = ATTRIBUTES;
  /** Where the script came from, and how it brings what shares a connection among tabs. */
  static script: { readonly url: string; readonly loadTabs: LoadTabs };

  #token: Options['token'];
  #strings: Words = {};
  #options: ChatOptions = {};
  #chat: Chat | null = null;
  #model: Model | null = null;
  #panel: Panel | null = null;
  #isDue: 'connect' | 'draw' | null = null;

  constructor() {
    super();
    this.attachShadow({ mode: 'open' });
  }

  /** A function that fetches a token, or a token; it counts before the attributes. */
  get token(): Options['token'] {
    return this.#token;
  }

  set token(token: Options['token']) {
    this.#token = token;
    this.#change('connect');
  }

  /** Words of the page's own, for languages that are not built in. */
  get strings(): Words {
    return this.#strings;
  }

  set strings(strings: Words) {
    this.#strings = strings;
    this.#change('draw');
  }

  get options(): ChatOptions {
    return this.#options;
  }

  set options(options: ChatOptions) {
    this.#options = options;
    this.#change('connect');
  }

  /** The connection, for what the widget itself does not do; null before there is one. */
  get chat(): Chat | null {
    return this.#chat;
  }

  /** Opens the panel, and in it a conversation: a short id, or `gid:` and a room; without an id, what was shown last. */
  open(id?: string): void {
    this.#settle();
    this.#panel?.open(id ?? null);
  }

  /** Closes the panel of a docked widget. */
  close(): void {
    this.#panel?.close();
  }

  connectedCallback(): void {
    // What a page has set before the script came hides the element's own properties.
    for (const name of ['token', 'strings', 'options'] as const) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      Object.assign(this, { [name]: value });
    }
    if (!this.#model) this.#change('connect');
  }

  disconnectedCallback(): void {
    // An element that is moved is connected again at once.
    queueMicrotask(() => {
      if (!this.isConnected) this.#stop();
    });
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before !== after && this.isConnected) this.#change(OF_CONNECTION.has(name) ? 'connect' : 'draw');
  }

  #change(what: 'connect' | 'draw'): void {
    const isFirst = this.#isDue === null;
    if (this.#isDue !== 'connect') this.#isDue = what;
    if (isFirst) queueMicrotask(() => this.#settle());
  }

  #settle(): void {
    const due = this.#isDue;
    this.#isDue = null;
    if (due === null || !this.isConnected) return;
    if (due === 'connect' || !this.#model) this.#start();
    else this.#draw();
  }

  #start(): void {
    this.#stop();
    try {
      this.#chat = chatOf(this.#connection(), NexTalkChat.script.url, NexTalkChat.script.loadTabs);
    } catch (error) {
      return this.#complain(error instanceof Error ? error.message : String(error));
    }
    const { clock, uuid } = browser;
    const timer = { now: clock.now, after: clock.after, uuid };
    this.#model = new Model(
      this.#chat,
      timer,
      {
        changed: () => this.#panel?.changed(),
        state: (change) => this.#tell('nextalk-state', change),
        unseen: (...parts) => this.#panel?.unseen(...parts),
        heard: (line) => this.#panel?.heard(line),
      },
      listOf(this.getAttribute('rooms') ?? ''),
    );
    this.#draw();
  }

  #connection(): Options {
    const url = this.getAttribute('token-url');
    const token = this.#token ?? (url === null ? this.getAttribute('token') : () => fetchToken(url)) ?? undefined;
    const server = this.getAttribute('server');
    const domain = this.getAttribute('domain');
    return {
      ...this.#options,
      ...(token === undefined || this.#options.online ? {} : { token }),
      ...(server ? { server: new URL(server, document.baseURI).href.replace(/\/$/, '') } : {}),
      ...(domain ? { domain } : {}),
    };
  }

  #draw(): void {
    const model = this.#model;
    if (!model) return;
    const isOpen = this.#panel?.element.hasAttribute('data-open') ?? false;
    this.#panel?.dispose();
    const language = this.#language();
    const isDocked = this.getAttribute('mode') !== 'inline';
    this.#panel = new Panel({
      model,
      isDocked,
      speech: new Speech(language, this.#strings),
      imageHosts: this.#imageHosts(),
      openWith: this.getAttribute('open-with') || null,
      onUnread: (unread) => this.#tell('nextalk-unread', { unread }),
      onOpen: (open, id) => this.#tell('nextalk-open', { open, id }),
      reconnect: () => this.#change('connect'),
      open: (id) => this.open(id),
    });
    const isRightToLeft =
      this.dir === 'rtl' || (this.dir === '' && (isRtl(language) || getComputedStyle(this).direction === 'rtl'));
    this.#panel.element.dir = isRightToLeft ? 'rtl' : 'ltr';
    this.#panel.element.lang = language;
    this.#show(this.#panel.element);
    if (isOpen && isDocked) this.#panel.open(null);
  }

  #language(): string {
    const near = this.closest<HTMLElement>('[lang]')?.lang;
    return near || navigator.language || 'en';
  }

  #imageHosts(): readonly string[] {
    const named = this.getAttribute('image-hosts');
    if (named !== null) return named.split(/[\s,]+/).filter(Boolean);
    const server = this.getAttribute('server') ?? serverOf(NexTalkChat.script.url) ?? '';
    try {
      return [new URL(server, document.baseURI).host];
    } catch {
      return [];
    }
  }

  /** A page whose widget cannot work says so where its author sees it. */
  #complain(reason: string): void {
    const speech = new Speech(this.#language(), this.#strings);
    const note = h('p', { class: 'mistake', role: 'alert' }, speech.say('mistake', { reason }));
    this.#show(h('div', { class: 'root' }, note));
  }

  #show(content: HTMLElement): void {
    this.shadowRoot?.replaceChildren(content);
    if (this.shadowRoot) style(this.shadowRoot);
  }

  #stop(): void {
    this.#panel?.dispose();
    this.#model?.close();
    this.#panel = null;
    this.#model = null;
    this.#chat = null;
    this.shadowRoot?.replaceChildren();
  }

  #tell(name: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}
