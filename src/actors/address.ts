/** Addresses and short ids: PROTOCOL.md section 2. Pure. */

declare const branded: unique symbol;
/** `/domain/{domain}/{node}/{nodeId}`: an endpoint or room. */
export type Address = string & { readonly [branded]: 'address' };

export type Node = 'uid' | 'vid' | 'gid' | 'sid';

/** An endpoint or room, and one terminal of it where the text named one. */
export interface Target {
  readonly address: Address;
  readonly node: Node;
  readonly id: string;
  readonly client: string | null;
}

export const ID_BYTES = 256;
export const CLIENT_CHARACTERS = 64;

const NODES: ReadonlySet<string> = new Set<Node>(['uid', 'vid', 'gid', 'sid']);
const PREFIX = /^(uid|vid|gid|sid):/;
/** `/ + # ,` and the C0 and C1 control characters. */
const FORBIDDEN = /[/+#,\u0000-\u001f\u007f-\u009f]/;

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** For each character of ASCII 1 where it stands for nothing but itself in an id. */
const PLAIN = Uint8Array.from({ length: 128 }, (_, code) => (/[\w.@-]/.test(String.fromCharCode(code)) ? 1 : 0));
const PLAIN_CHARACTERS = 64;
const COLON = 0x3a;

/** Whether an id is as most sites give them, of which nothing else has to be asked: one look in place of ten. */
function isPlainId(text: string): boolean {
  if (text.length === 0 || text.length > PLAIN_CHARACTERS) return false;
  for (let at = 0; at < text.length; at++) if (PLAIN[text.charCodeAt(at)] !== 1) return false;
  return true;
}

/** Without outer spaces, at most 256 bytes of well-formed UTF-8, without `/ + # ,` and control characters. */
export function isId(text: string): boolean {
  return (
    text.length > 0 &&
    text.length <= ID_BYTES &&
    !FORBIDDEN.test(text) &&
    text.trim() === text &&
    text.isWellFormed() &&
    Buffer.byteLength(text) <= ID_BYTES
  );
}

/** Whether a text may name a terminal: 1 to 64 characters, and the rules of an id. */
export function isClientName(text: string): boolean {
  return isId(text) && [...text].length <= CLIENT_CHARACTERS;
}

/** What stands before the id in addresses of the domain and node that were asked for last: an address has fewer parts so, of which V8 makes one text. */
let last = { domain: '', node: '', before: '' };

export function addressOf(domain: string, node: Node, id: string): Address {
  if (node !== last.node || domain !== last.domain) {
    last = { domain, node, before: ['', 'domain', domain, node, ''].join('/') };
  }
  return (last.before + id) as Address;
}

/** Whether a value that another node has sent may be an address of this domain. */
export function isOfDomain(domain: string, value: unknown): value is Address {
  return typeof value === 'string' && value.startsWith(`/domain/${domain}/`);
}

/** Whether an address of `domain` is that of an id: as `addressOf` has it, but without making a text to compare with. */
export function isAddressOf(address: Address, domain: string, node: string, id: string): boolean {
  const start = domain.length + 9;
  const slash = start + node.length;
  return (
    address.length === slash + 1 + id.length &&
    address.startsWith(node, start) &&
    address[slash] === '/' &&
    address.endsWith(id)
  );
}

function parseFull(domain: string, text: string): Target | null {
  const [empty, root, named, node, id = '', marker, client, ...rest] = text.split('/').map((part) => part.trim());
  if (empty !== '' || root !== 'domain' || named !== domain || rest.length > 0) return null;
  if (node === undefined || !NODES.has(node) || !isId(id)) return null;
  if (marker !== undefined && (marker !== 'client' || client === undefined || !isClientName(client))) return null;
  return { address: addressOf(domain, node as Node, id), node: node as Node, id, client: client ?? null };
}

/**
 * Reads a short id (`1`, `vid:abc`, `gid:r1`) or a full address of this domain; a bare id is of `bareNode`. Outer spaces
 * of ids and names are taken off.
 * Null where section 2 calls for 400.
 */
export function parseTarget(domain: string, text: string, bareNode: 'uid' | 'gid' = 'uid'): Target | null {
  if (isPlainId(text)) return targetOf(domain, bareNode, text);
  if (CONTROL.test(text)) return null;
  const trimmed = text.trim();
  if (trimmed.startsWith('/')) return parseFull(domain, trimmed);
  const prefix = PREFIX.exec(trimmed)?.[1] as Node | undefined;
  const node = prefix ?? bareNode;
  const id = prefix === undefined ? trimmed : trimmed.slice(4).trimStart();
  return isId(id) ? targetOf(domain, node, id) : null;
}

function targetOf(domain: string, node: Node, id: string): Target {
  return { address: addressOf(domain, node, id), node, id, client: null };
}

/** The short id by which packets and answers name an endpoint: users and rooms bare, visitors and services with a prefix. */
export function shortIdOf(node: Node, id: string): string {
  if (node === 'vid' || node === 'sid') return `${node}:${id}`;
  return id.charCodeAt(3) === COLON && PREFIX.test(id) ? `${node}:${id}` : id;
}

/** The short id of an address of `domain`. */
export function shortId(domain: string, address: Address): string {
  const start = domain.length + 9;
  return shortIdOf(address.slice(start, start + 3) as Node, address.slice(start + 4));
}

/** The short id of an address of `domain` by which calls find it again: a room's with its prefix. */
export function reference(domain: string, address: Address): string {
  return isRoom(domain, address) ? address.slice(domain.length + 9).replace('/', ':') : shortId(domain, address);
}

/** Whether an address of `domain` is a room's. */
export function isRoom(domain: string, address: Address): boolean {
  return address.startsWith('gid/', domain.length + 9);
}
