/** Who a CONNECT is: user name and password → a domain's backend or one of its clients. PROTOCOL.md section 8. */
import type { Client } from '../../actors/client.js';
import type { Domain } from '../../actors/domain.js';
import { parseTicket } from '../../actors/ticket.js';
import type { Context } from '../context.js';
import { authenticate, findTicket } from '../keys.js';
import { isAllowedOrigin } from '../origin.js';
import type { Connect } from './packets.js';
import { REASON } from './reason.js';
import type { Wire } from './wire.js';

export interface Login {
  readonly domain: Domain;
  /** The ticket's client; null: a backend. */
  readonly client: Client | null;
  /** It gave no credentials. */
  readonly anonymous: boolean;
}

/** Answers a reason code where it is nobody. `origin` is the page's, over WebSocket. */
export function login(context: Context, { username, password }: Connect, { origin, address }: Wire): Login | number {
  const { domains, config, apiKeys } = context;
  if (password === null) {
    const { anonymousDomain } = config().mqtt;
    const domain = anonymousDomain === null ? undefined : domains.get(anonymousDomain);
    return domain ? { domain, client: null, anonymous: true } : REASON.notAuthorized;
  }
  const domain = username === null ? undefined : domains.get(username);
  if (!domain) return REASON.badCredentials;
  if (!isAllowedOrigin(domain, origin)) return REASON.notAuthorized;
  const text = password.toString('utf8');
  const client = findTicket(domain, text);
  if (client) return { domain, client, anonymous: false };
  // A ticket that has ended is no guess at a key: browsers come back with theirs again and again.
  const isKey = parseTicket(text) ? authenticate(domain, text) : apiKeys.check(domain, text, () => address);
  if (isKey === true) return { domain, client: null, anonymous: false };
  return isKey === false ? REASON.badCredentials : REASON.connectionRateExceeded;
}
