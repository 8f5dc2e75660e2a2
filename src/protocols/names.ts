/**
 * What the names of sites resolve to. Asked of the name servers over sockets (c-ares), never by getaddrinfo: that takes one
 * of the process's few threads for as long as a name server is silent, and files and other names would wait for it. Every
 * look-up has sockets of its own, so that no other one waits behind it.
 *
 * As getaddrinfo does it reads /etc/hosts first, and what /etc/resolv.conf says of name servers and search domains. Modules
 * of nsswitch.conf (mDNS, LDAP) are not asked.
 *
 * Bounded by look-ups at once, for each domain and for all; what is beyond waits, and fails where it has waited too long.
 */
import { type LookupAddress, Resolver } from 'node:dns';
import { readFileSync, statSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import type { Clock } from '../clock.js';

/** A look-up has so long, the time included in which it waits for others. */
export const LOOKUP_MS = 8000;
const ANSWER_MS = 2000;
const TRIES = 2;
/** Look-ups at once: of one domain, and of all. */
const MOST_OF_DOMAIN = 4;
const MOST = 256;
/** Look-ups that wait: more webhooks than that are not called at the same time. */
const MOST_WAITING = 10_000;

/** Either an error, or addresses: one at least, those of IPv4 first. */
export type Found = (error: Error | null, addresses: readonly LookupAddress[]) => void;

export interface NameSettings {
  readonly hosts: string;
  readonly resolvConf: string;
  /** In the place of those that the system names. */
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

  /** Look-ups that are under way. */
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

  /** What needs no name server. */
  #known(name: string): readonly LookupAddress[] | undefined {
    const plain = name.replace(/\.$/, '').toLowerCase();
    const listed = this.#hosts.value.get(plain);
    // RFC 6761, section 6.3.
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

  /** Asks for each of the names that may be meant, one after another; the answer cancels, which is an error as well. */
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

/** Both kinds of addresses of one name. */
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
      // That a server is silent says more than that it has no address of one kind.
      const why = errors.find((other) => !isNothing(other)) ?? errors[0] ?? null;
      if (all.length > 0) found(null, all);
      else found(why ?? new Error(`${name} has no address`), []);
    };
  resolver.resolve4(name, answered(4));
  resolver.resolve6(name, answered(6));
}

/** There is no such name, or it has no address. */
function isNothing(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ENOTFOUND' || error.code === 'ENODATA';
}

interface Search {
  readonly domains: readonly string[];
  /** A name with as many dots is tried as it is before domains are put behind it. */
  readonly ndots: number;
}

/** The names that may be meant by one, in the order of resolv.conf(5). */
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

/** A small file of the system, read again when it has changed. One that is not there is empty. */
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
