/** How a page that is not looked at tells of a message: its title, a sound, a notification. */

const STORED = 'nextalk-widget';

interface Choices {
  sound?: boolean;
  notifications?: boolean;
}

function read(): Choices {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORED) ?? '{}');
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

export class Alerts {
  #choices = read();
  #audio: AudioContext | null = null;

  get hasSound(): boolean {
    return this.#choices.sound === true;
  }

  get hasNotifications(): boolean {
    return this.#choices.notifications === true && globalThis.Notification?.permission === 'granted';
  }

  /** The browser lets this page show none. */
  get isDenied(): boolean {
    return typeof Notification !== 'function' || Notification.permission === 'denied';
  }

  /** Only on a click: browsers let pages sound only then. */
  async setSound(isOn: boolean): Promise<void> {
    this.#store({ sound: isOn });
    if (isOn) this.sound();
  }

  /** Only on a click: asks the user for permission where nobody has. */
  async setNotifications(isOn: boolean): Promise<void> {
    if (isOn && (this.isDenied || (await Notification.requestPermission()) !== 'granted')) return;
    this.#store({ notifications: isOn });
  }

  sound(): void {
    if (!this.hasSound || typeof AudioContext !== 'function') return;
    try {
      this.#audio ??= new AudioContext();
      void this.#audio.resume().catch(() => undefined);
      const { currentTime, destination } = this.#audio;
      const gain = this.#audio.createGain();
      const tone = this.#audio.createOscillator();
      tone.frequency.setValueAtTime(740, currentTime);
      tone.frequency.setValueAtTime(990, currentTime + 0.09);
      gain.gain.setValueAtTime(0.06, currentTime);
      gain.gain.exponentialRampToValueAtTime(0.0005, currentTime + 0.35);
      tone.connect(gain).connect(destination);
      tone.start();
      tone.stop(currentTime + 0.4);
    } catch {
      // No sound on this machine.
    }
  }

  /** Notifications of one `tag` replace each other. */
  notify(tag: string, title: string, body: string, onClick: () => void): void {
    if (!this.hasNotifications) return;
    try {
      const notification = new Notification(title, { body: body.slice(0, 300), tag: `nextalk ${tag}`, silent: true });
      notification.onclick = () => {
        notification.close();
        window.focus();
        onClick();
      };
    } catch {
      // Browsers of phones show notifications of service workers only.
    }
  }

  close(): void {
    void this.#audio?.close().catch(() => undefined);
    this.#audio = null;
  }

  #store(change: Choices): void {
    this.#choices = { ...this.#choices, ...change };
    try {
      localStorage.setItem(STORED, JSON.stringify(this.#choices));
    } catch {
      // The choice holds until the page ends.
    }
  }
}

/** How many messages each widget of the page has that were not seen. */
const counts = new Map<object, number>();
let shown = '';

/** Puts the number of unread messages of all widgets of the page in front of its title; 0 takes it away. */
export function badgeTitle(owner: object, unread: number): void {
  if (unread > 0) counts.set(owner, unread);
  else counts.delete(owner);
  const sum = [...counts.values()].reduce((one, other) => one + other, 0);
  const own = shown !== '' && document.title.startsWith(shown) ? document.title.slice(shown.length) : document.title;
  shown = sum > 0 ? `(${sum > 99 ? '99+' : sum}) ` : '';
  if (document.title !== shown + own) document.title = shown + own;
}
