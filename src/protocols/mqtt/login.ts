/** Who a CONNECT is: user name and password → a domain's backend or one of its clients. PROTOCOL.md section 8. */
import type { Address } from '../../actors/address.js';
import type { NamedClient } from '../../actors/client.js';
import type { Domain } from '../../actors/domain.js';
import { parseTicket } from '../../actors/ticket.js';
import type { Context } from '../context.js';
import { authenticate, findHere, type findTicket, ownerOf } from '../credentials.js';
import { isAllowedOrigin } from '../origin.js';
import type { Connect } from './packets.js';
import { REASON } from './reason.js';
import type { Wire } from './wire.js';

/** A ticket that another node may have given out: this node does not know it, or takes its endpoint over from a node that is gone. */
export interface Elsewhere {
  /** The address of the ticket's endpoint. */
  readonly address: Address;
  readonly token: string;
}

export interface Login {
  readonly domain: Domain;
  /** The ticket's client; null: a backend. */
  readonly client: NamedClient | null;
  /** The ticket given, if its client is to be looked for; null: the client is on this node, or the client gave none. */
  readonly elsewhere: Elsewhere | null;
  /** The client gave no credentials. */
  readonly anonymous: boolean;
  /** The API key of a backend; null: there is none. */
  readonly key: string | null;
}

/**
 * Answers who connects, or the reason code that refuses it. `origin` is that of the page, over WebSocket; `find` finds a ticket's client on
 * this node.
 */
export function login(
  context: Context,
  { username, password }: Connect,
  { origin, address }: Pick<Wire, 'origin' | 'address'>,
  find: typeof findTicket = findHere,
): Login | number {
  const { domains, config, apiKeys } = context;
  if (password === null) {
    const { anonymousDomain } = config().mqtt;
    const domain = anonymousDomain === null ? undefined : domains.get(anonymousDomain);
    return domain ? { domain, client: null, elsewhere: null, anonymous: true, key: null } : REASON.notAuthorized;
  }
  const domain = username === null ? undefined : domains.get(username);
  if (!domain) return REASON.badCredentials;
  if (!isAllowedOrigin(domain, origin)) return REASON.notAuthorized;
  const text = password.toString('utf8');
  const client = find(domain, text);
  const ticket = parseTicket(text);
  const elsewhere = client || !ticket ? null : { address: ownerOf(domain, ticket), token: ticket.token };
  const isKnown = elsewhere !== null && domain.cluster.isKnown(elsewhere.address, elsewhere.token);
  if (client || isKnown) return { domain, client, elsewhere, anonymous: false, key: null };
  // A ticket that has ended is no guess at a key: browsers come back with theirs again and again.
  const isKey = ticket ? authenticate(domain, text) : apiKeys.check(domain, text, { address: () => address });
  if (isKey === true) return { domain, client: null, elsewhere: null, anonymous: false, key: text };
  return isKey === false ? REASON.badCredentials : REASON.connectionRateExceeded;
}
