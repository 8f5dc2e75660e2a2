/** What the library has of a browser, of Node and of React Native: all that is missing there is done without. */
import type { Platform, Signals } from './engine.js';
import type { Socket } from './http.js';

/** How often time is looked at, and what jump of it means that the machine has slept. */
const LOOK_MS = 5_000;
const SLEPT_MS = 15_000;

function storage(): Storage | null {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    // The user or a sandbox forbids storage.
    return null;
  }
}

const tab = storage();

/** Unique among what one user sends. Pages that are not served by https, and React Native, have no randomUUID. */
function uuid(): string {
  const random = () => Math.random().toString(36).slice(2);
  return globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${random()}${random()}`;
}

function listen(target: unknown, listeners: Readonly<Record<string, (event: Event) => void>>): () => void {
  const { addEventListener, removeEventListener } = (target ?? {}) as Partial<EventTarget>;
  if (!addEventListener || !removeEventListener) return () => undefined;
  for (const [name, listener] of Object.entries(listeners)) addEventListener.call(target, name, listener);
  return () => {
    for (const [name, listener] of Object.entries(listeners)) removeEventListener.call(target, name, listener);
  };
}

function isHidden(): boolean {
  return globalThis.document?.visibilityState === 'hidden';
}

function watch(signals: Signals): () => void {
  const offWindow = listen(globalThis, {
    online: () => signals.wake(),
    offline: () => signals.wake(),
    pagehide: (event) => signals.leave((event as PageTransitionEvent).persisted ? 'aside' : 'ended'),
    pageshow: (event) => {
      if ((event as PageTransitionEvent).persisted) signals.back();
    },
  });
  const offDocument = listen(globalThis.document, {
    visibilitychange: () => {
      if (isHidden()) signals.leave('hidden');
      else signals.back();
    },
    freeze: () => signals.leave('aside'),
    resume: () => signals.back(),
  });
  let last = Date.now();
  const look = setInterval(() => {
    const now = Date.now();
    if (now - last > SLEPT_MS && !isHidden()) signals.wake();
    last = now;
  }, LOOK_MS);
  return () => {
    offWindow();
    offDocument();
    clearInterval(look);
  };
}

export const browser: Platform = {
  fetch: (...parts) => globalThis.fetch(...parts),
  socket: typeof WebSocket === 'function' ? (url) => new WebSocket(url) as Socket : null,
  clock: {
    now: Date.now,
    after(delayMs, task) {
      const timer = setTimeout(task, delayMs);
      return () => clearTimeout(timer);
    },
    random: Math.random,
  },
  storage: tab && {
    get: (key) => tab.getItem(key),
    set(key, text) {
      try {
        if (text === null) tab.removeItem(key);
        else tab.setItem(key, text);
      } catch {
        // The tab's storage is full: the next page comes online anew.
      }
    },
  },
  beacon: (url, text) => globalThis.navigator?.sendBeacon?.(url, text) === true,
  watch,
  isHidden,
  report: (error) => globalThis.reportError?.(error),
  uuid,
};
