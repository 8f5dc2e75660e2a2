/**
 * Addresses inside: those that do not lead out into the public Internet. What the site names as a webhook is called from
 * where the server stands, and must not reach what only the server can (server-side request forgery). Pure.
 *
 * IANA's registries of special-purpose addresses, RFC 6890 and its successors; of IPv6 only 2000::/3 is public at all.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

const INSIDE_V4: readonly (readonly [net: string, bits: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/** Of 2000::/3: protocols with a tunnel's end in the address, documentation. 6to4 is read below. */
const INSIDE_V6: readonly (readonly [net: string, bits: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
];

const inside = new BlockList();
for (const [net, bits] of INSIDE_V4) inside.addSubnet(net, bits, 'ipv4');
for (const [net, bits] of INSIDE_V6) inside.addSubnet(net, bits, 'ipv6');
const global = new BlockList();
global.addSubnet('2000::', 3, 'ipv6');

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const [, head = '', a = 0, b = 0, c = 0, d = 0] = dotted ?? [];
  const hex = (high: unknown, low: unknown): string => (Number(high) * 256 + Number(low)).toString(16);
  const text = dotted ? `${head}${hex(a, b)}:${hex(c, d)}` : address;
  const [front = '', back] = text.split('::');
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  if (back === undefined) return read(front);
  const [first, last] = [read(front), read(back)];
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
}

/** Two groups as the IPv4 address that they carry. */
function dotted(high = 0, low = 0): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Whether an IP address, in whatever notation, leads inside; of an IPv4 address in IPv6 the former counts. */
export function isInside(address: string): boolean {
  if (isIPv4(address)) return inside.check(address, 'ipv4');
  const bare = address.replace(/%.*$/, '');
  if (!isIPv6(bare)) return true;
  const groups = groupsOf(bare);
  const [one, two, three, , , six, seven, eight] = groups;
  const isFirstEmpty = groups.slice(0, 5).every((group) => group === 0);
  if (isFirstEmpty && six === 0xffff) return isInside(dotted(seven, eight));
  // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry the address that is meant.
  if (one === 0x64 && two === 0xff9b && groups.slice(2, 6).every((group) => group === 0))
    return isInside(dotted(seven, eight));
  if (one === 0x2002) return isInside(dotted(two, three));
  return !global.check(bare, 'ipv6') || inside.check(bare, 'ipv6');
}

/** Whether a URL names an address inside itself; whatever else it names is known when it is resolved. */
export function leadsInside(url: string): boolean {
  const host = hostOf(url);
  if (/^(.*\.)?localhost\.?$/.test(host)) return true;
  return (isIPv4(host) || isIPv6(host)) && isInside(host);
}

/** A URL's host, without the brackets of IPv6. The parser has written IPv4 in its dotted form, however it was spelled. */
export function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}
