/** What the widget says, in English and Chinese. Other languages are maps of the page's own. */

const EN = {
  chat: 'Chat',
  open: 'Open chat',
  close: 'Close',
  back: 'Back',
  search: 'Search',
  searchFor: 'Search people and rooms',
  nothingFound: 'Nothing found',
  conversations: 'Conversations',
  rooms: 'Rooms',
  people: 'People',
  members: 'Members',
  memberCount: '{n} here',
  showMembers: 'Members of {name}',
  nobody: 'Nobody else is here yet',
  empty: 'No messages yet.',
  emptyHint: 'Say hello.',
  pick: 'Choose a conversation',
  messages: 'Messages with {name}',
  write: 'Message',
  writeTo: 'Message to {name}',
  send: 'Send',
  you: 'You',
  typing: '{name} is typing…',
  typingTwo: '{name} and {other} are typing…',
  typingMany: 'Several people are typing…',
  newMessages: 'New',
  toNewest: 'Jump to the newest',
  newer: '{n} new',
  loading: 'Loading…',
  today: 'Today',
  yesterday: 'Yesterday',
  unread: '{n} unread',
  image: 'Image',
  sending: 'Sending…',
  sent: 'Sent',
  delivered: 'Delivered',
  queued: 'Waiting for {name}',
  stored: 'Kept until {name} is back',
  dropped: 'Not delivered: {name} is offline',
  failed: 'Not sent',
  read: 'Read',
  retry: 'Try again',
  status: 'Your status',
  available: 'Available',
  chatty: 'Happy to talk',
  away: 'Away',
  busy: 'Busy',
  dnd: 'Do not disturb',
  invisible: 'Invisible',
  offline: 'Offline',
  sound: 'Sound',
  notifications: 'Notifications',
  denied: 'Blocked by the browser',
  refused: 'Not allowed here',
  connecting: 'Connecting…',
  reconnecting: 'Reconnecting…',
  reconnectingIn: 'Reconnecting in {n} s…',
  missed: 'Some messages were missed',
  stopped: 'You are signed out of the chat',
  refusedForGood: 'The chat does not accept this page',
  connect: 'Connect',
  mistake: 'The chat is not set up: {reason}',
} as const;

export type Word = keyof typeof EN;
export type Words = Readonly<Partial<Record<Word, string>>>;

const ZH: Record<Word, string> = {
  chat: '聊天',
  open: '打开聊天',
  close: '关闭',
  back: '返回',
  search: '搜索',
  searchFor: '搜索联系人和群组',
  nothingFound: '没有结果',
  conversations: '会话',
  rooms: '群组',
  people: '联系人',
  members: '成员',
  memberCount: '{n} 人在线',
  showMembers: '{name} 的成员',
  nobody: '暂时没有其他人在线',
  empty: '还没有消息。',
  emptyHint: '打个招呼吧。',
  pick: '请选择一个会话',
  messages: '与 {name} 的消息',
  write: '输入消息',
  writeTo: '发消息给 {name}',
  send: '发送',
  you: '我',
  typing: '{name} 正在输入…',
  typingTwo: '{name} 和 {other} 正在输入…',
  typingMany: '多人正在输入…',
  newMessages: '新消息',
  toNewest: '回到最新消息',
  newer: '{n} 条新消息',
  loading: '加载中…',
  today: '今天',
  yesterday: '昨天',
  unread: '{n} 条未读',
  image: '图片',
  sending: '发送中…',
  sent: '已发送',
  delivered: '已送达',
  queued: '等待 {name} 接收',
  stored: '{name} 上线后送达',
  dropped: '未送达：{name} 不在线',
  failed: '发送失败',
  read: '已读',
  retry: '重试',
  status: '我的状态',
  available: '在线',
  chatty: '欢迎聊天',
  away: '离开',
  busy: '忙碌',
  dnd: '请勿打扰',
  invisible: '隐身',
  offline: '离线',
  sound: '声音',
  notifications: '通知',
  denied: '已被浏览器阻止',
  refused: '此处不允许',
  connecting: '正在连接…',
  reconnecting: '正在重新连接…',
  reconnectingIn: '{n} 秒后重新连接…',
  missed: '可能错过了一些消息',
  stopped: '你已退出聊天',
  refusedForGood: '聊天服务器不接受此页面',
  connect: '连接',
  mistake: '聊天设置有误：{reason}',
};

const RTL = new Set(['ar', 'arc', 'ckb', 'dv', 'fa', 'he', 'ks', 'ps', 'sd', 'ug', 'ur', 'yi']);

/** Whether a language is written from right to left. */
export function isRtl(language: string): boolean {
  return RTL.has(language.toLowerCase().split('-')[0] ?? '');
}

/** Says things in one language. */
export class Speech {
  readonly #words: Words;
  readonly #time: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #year: Intl.DateTimeFormat;
  readonly #count: Intl.NumberFormat;

  /** `own`: words of the page's own, which count before the built-in ones. */
  constructor(
    readonly language: string,
    own: Words = {},
  ) {
    this.#words = { ...(/^zh\b/i.test(language) ? ZH : EN), ...own };
    const locale = Speech.#locale(language);
    this.#time = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' });
    this.#day = new Intl.DateTimeFormat(locale, { weekday: 'long', month: 'long', day: 'numeric' });
    this.#year = new Intl.DateTimeFormat(locale, { year: 'numeric', month: 'long', day: 'numeric' });
    this.#count = new Intl.NumberFormat(locale);
  }

  /** The language as Intl takes it; undefined, the browser's, where it is no language. */
  static #locale(language: string): string | undefined {
    try {
      return Intl.getCanonicalLocales(language)[0];
    } catch {
      return undefined;
    }
  }

  say(word: Word, values: Readonly<Record<string, string | number>> = {}): string {
    const text = this.#words[word] ?? EN[word];
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name];
      return value === undefined ? whole : typeof value === 'number' ? this.#count.format(value) : value;
    });
  }

  time(at: number): string {
    return this.#time.format(at);
  }

  count(n: number): string {
    return n > 99 ? `${this.#count.format(99)}+` : this.#count.format(n);
  }

  /** A day as a separator names it. */
  day(at: number, now: number): string {
    const [day, today] = [new Date(at), new Date(now)];
    if (day.toDateString() === today.toDateString()) return this.say('today');
    today.setDate(today.getDate() - 1);
    if (day.toDateString() === today.toDateString()) return this.say('yesterday');
    return (Math.abs(now - at) < 180 * 86_400_000 ? this.#day : this.#year).format(at);
  }

  /** A moment in a list: the time today, else the day. */
  moment(at: number, now: number): string {
    const day = this.day(at, now);
    return day === this.say('today') ? this.time(at) : day === this.say('yesterday') ? day : this.#short(at);
  }

  #short(at: number): string {
    const locale = Speech.#locale(this.language);
    return new Intl.DateTimeFormat(locale, { month: 'numeric', day: 'numeric' }).format(at);
  }
}
