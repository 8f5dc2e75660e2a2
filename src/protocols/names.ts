/**
 * Resolves the host names of sites. Asks the name servers over sockets (c-ares), never by getaddrinfo: that occupies one of the
 * process's few threads for as long as a name server is silent, and the reading of files and other look-ups would wait for it.
 * Every look-up has sockets of its own, so that no look-up waits behind another.
 *
 * Like getaddrinfo, it reads /etc/hosts first, and takes name servers and search domains from /etc/resolv.conf. Modules of
 * nsswitch.conf (mDNS, LDAP) are not asked.
 *
 * Look-ups at once are bounded, for each domain and in all; further ones wait, and fail when they have waited too long.
 */
import { type LookupAddress, Resolver } from 'node:dns';
import { readFileSync, statSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import type { Clock } from '../clock.js';

/** After so many ms a look-up fails; the time in which it waits for other look-ups counts too. */
export const LOOKUP_MS = 8000;
const ANSWER_MS = 2000;
const TRIES = 2;
/** How many look-ups run at once: for one domain, and for all domains. */
const MOST_OF_DOMAIN = 4;
const MOST = 256;
/** How many look-ups may wait; more fail at once. No more webhooks than that are called at the same time. */
const MOST_WAITING = 10_000;

/** Called with either an error, or at least one address, those of IPv4 first. */
export type Found = (error: Error | null, addresses: readonly LookupAddress[]) => void;

export interface NameSettings {
  readonly hosts: string;
  readonly resolvConf: string;
  /** Name servers to ask in place of those that the system names. */
  readonly servers?: readonly string[];
}

const SYSTEM: NameSettings = { hosts: '/etc/hosts', resolvConf: '/etc/resolv.conf' };

interface Waiting {
  readonly domain: string;
  start(): void;
}

export class Names {
  readonly #hosts: Watched<ReadonlyMap<string, readonly LookupAddress[]>>;
  readonly #search: Watched<Search>;
  readonly #running = new Map<string, number>();
  #waiting: Waiting[] = [];
  #count = 0;

  constructor(private readonly settings: NameSettings = SYSTEM) {
    this.#hosts = new Watched(settings.hosts, hostsOf);
    this.#search = new Watched(settings.resolvConf, searchOf);
  }

  /** How many look-ups are under way. */
  get running(): number {
    return this.#count;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Looks a name up for a domain; `found` is called later, once. */
  find(domain: string, name: string, clock: Clock, found: Found): void {
    const known = this.#known(name);
    if (known) return void setImmediate(() => found(null, known));
    if (this.#waiting.length >= MOST_WAITING) return void setImmediate(() => found(new Error('too many look-ups'), []));
    let cancel = (): void => this.#leave(waiting);
    let isOver = false;
    const finish: Found = (error, addresses) => {
      if (isOver) return;
      isOver = true;
      cancelTimer();
      found(error, addresses);
    };
    const cancelTimer = clock.after(LOOKUP_MS, () => {
      cancel();
      finish(new Error(`no name server answered within ${LOOKUP_MS} ms`), []);
    });
    const waiting: Waiting = {
      domain,
      start: () => {
        cancel = this.#resolve(name, (error, addresses) => {
          this.#ended(domain);
          finish(error, addresses);
        });
      },
    };
    this.#waiting.push(waiting);
    this.#startSome();
  }

  /** The addresses of a name that needs no name server: one in /etc/hosts, or `localhost`; undefined for any other. */
  #known(name: string): readonly LookupAddress[] | undefined {
    const plain = name.replace(/\.$/, '').toLowerCase();
    const listed = this.#hosts.value.get(plain);
    // Names below `localhost` are loopback addresses: RFC 6761, section 6.3.
    return listed ?? (/^(.*\.)?localhost$/.test(plain) ? LOOPBACK : undefined);
  }

  #leave(waiting: Waiting): void {
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
  }

  #startSome(): void {
    const isFree = ({ domain }: Waiting): boolean => (this.#running.get(domain) ?? 0) < MOST_OF_DOMAIN;
    while (this.#count < MOST) {
      const at = this.#waiting.findIndex(isFree);
      const [next] = at < 0 ? [] : this.#waiting.splice(at, 1);
      if (!next) return;
      this.#count += 1;
      this.#running.set(next.domain, (this.#running.get(next.domain) ?? 0) + 1);
      next.start();
    }
  }

  #ended(domain: string): void {
    const left = (this.#running.get(domain) ?? 1) - 1;
    if (left > 0) this.#running.set(domain, left);
    else this.#running.delete(domain);
    this.#count -= 1;
    this.#startSome();
  }

  /** Asks for each full name that `name` may stand for, one after another. Answers a function that cancels, so that `found` gets an error. */
  #resolve(name: string, found: Found): () => void {
    const resolver = new Resolver({ timeout: ANSWER_MS, tries: TRIES });
    if (this.settings.servers) resolver.setServers(this.settings.servers);
    const names = candidatesOf(name, this.#search.value);
    const next = (at: number): void => {
      ask(resolver, names[at] as string, (error, addresses) => {
        if (error && isNothing(error) && at + 1 < names.length) next(at + 1);
        else found(error, addresses);
      });
    };
    next(0);
    return () => resolver.cancel();
  }
}

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** Asks for the IPv4 and the IPv6 addresses of a name. */
function ask(resolver: Resolver, name: string, found: Found): void {
  const answers: LookupAddress[][] = [];
  const errors: Error[] = [];
  const answered =
    (family: 4 | 6) =>
    (error: Error | null, addresses: readonly string[] = []): void => {
      if (error) errors.push(error);
      answers[family] = addresses.map((address) => ({ address, family }));
      if (!answers[4] || !answers[6]) return;
      const all = [...answers[4], ...answers[6]];
      // Of two errors the one that tells more: that a server is silent, rather than that one kind of address does not exist.
      const why = errors.find((other) => !isNothing(other)) ?? errors[0] ?? null;
      if (all.length > 0) found(null, all);
      else found(why ?? new Error(`${name} has no address`), []);
    };
  resolver.resolve4(name, answered(4));
  resolver.resolve6(name, answered(6));
}

/** Whether an error means that the name does not exist or has no address. */
function isNothing(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ENOTFOUND' || error.code === 'ENODATA';
}

interface Search {
  readonly domains: readonly string[];
  /** A name with at least so many dots is tried as it is first, and then with search domains appended. */
  readonly ndots: number;
}

/** The full names that a name may stand for, in the order in which resolv.conf(5) has them tried. */
function candidatesOf(name: string, { domains, ndots }: Search): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const longer = domains.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...longer] : [...longer, name];
}

function searchOf(text: string): Search {
  let domains: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'search' || keyword === 'domain') domains = words.map((word) => word.replace(/\.$/, ''));
    const option = keyword === 'options' ? words.find((word) => word.startsWith('ndots:')) : undefined;
    if (option) ndots = Math.min(15, Number(option.slice(6)) || 0);
  }
  return { domains: domains.filter((domain) => domain !== ''), ndots };
}

function hostsOf(text: string): ReadonlyMap<string, readonly LookupAddress[]> {
  const found = new Map<string, LookupAddress[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIPv4(address) ? 4 : isIPv6(address) ? 6 : 0;
    if (family === 0) continue;
    for (const name of names) {
      const known = found.get(name.toLowerCase());
      if (known) known.push({ address, family });
      else found.set(name.toLowerCase(), [{ address, family }]);
    }
  }
  for (const addresses of found.values()) addresses.sort((one, other) => one.family - other.family);
  return found;
}

/** A small file of the system, read again when it has changed. A missing file counts as empty. */
class Watched<V> {
  #value: V | undefined;
  #version = '';

  constructor(
    private readonly path: string,
    private readonly parse: (text: string) => V,
  ) {}

  get value(): V {
    const { mtimeMs, size, ino } = statSync(this.path, { throwIfNoEntry: false }) ?? {};
    const version = `${mtimeMs} ${size} ${ino}`;
    if (this.#value === undefined || version !== this.#version) {
      this.#version = version;
      this.#value = this.parse(size === undefined ? '' : read(this.path));
    }
    return this.#value;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
