/** The network address that counts as a client's: behind trusted proxies, and for IPv6 its /64. */
import { isIP, isIPv6 } from 'node:net';
import { BoundedMap } from '../bounded-map.js';

/** In characters: IPv6 with a mapped IPv4 address, a zone, brackets and a port. */
const LONGEST_ADDRESS = 80;

/** Addresses asked for last: those of a site's backends and proxies come with every call. */
const networks = new BoundedMap<string, string>(() => 1000);

const MAPPED = /^(?:0*:){5,6}(?:ffff|FFFF):|^::(?:ffff|FFFF):/;

/**
 * What counts as one address: an IPv4 address, however it is written, or the /64 of an IPv6 one, which is the least that
 * a customer of a provider has. What is no address is taken as it is.
 */
export function networkOf(address: string): string {
  const known = networks.get(address);
  if (known !== undefined) return known;
  const network = findNetwork(address);
  if (address.length <= LONGEST_ADDRESS) networks.set(address, network);
  return network;
}

function findNetwork(address: string): string {
  if (!isIPv6(address)) return address;
  const mapped = MAPPED.exec(address)?.[0];
  if (mapped !== undefined) return dotted(address.slice(mapped.length));
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...rest];
  const first = all.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''));
  return `${first.join(':')}::/64`;
}

/** The dotted form of an IPv4 address that IPv6 may write in hex: `7f00:0001` is `127.0.0.1`. */
function dotted(text: string): string {
  if (text.includes('.')) return text;
  const [high = 0, low = 0] = text.split(':').map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/**
 * What the outermost of `hops` trusted proxies says in a header to which each adds its own view, or which each replaces;
 * empty where nothing is said. `header` is all of its lines: some proxies add a line of their own below the client's.
 * Whatever stands before that is the client's own claim.
 */
export function forwarded(header: string, hops: number): string {
  let end = header.length;
  for (let hop = 1; hop <= hops && end > 0; hop++) {
    const comma = header.lastIndexOf(',', end - 1);
    if (hop === hops || comma < 0) return header.slice(comma + 1, end).trim();
    end = comma;
  }
  return '';
}

/** Who counts as the client of a connection from `peer` that carries this X-Forwarded-For. */
export function clientAddress(peer: string, forwardedFor: string, hops: number): string {
  const entry = forwarded(forwardedFor, hops);
  if (entry === '') return networkOf(peer);
  if (entry.length > LONGEST_ADDRESS) return networkOf(peer);
  // Some proxies add the port.
  const bare = /^\[(.+)\](?::\d+)?$/.exec(entry)?.[1] ?? /^([\d.]+):\d+$/.exec(entry)?.[1] ?? entry;
  return networkOf(isIP(bare) > 0 ? bare : peer);
}
