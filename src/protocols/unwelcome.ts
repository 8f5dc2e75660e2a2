/**
 * Whether a client may connect, whatever carries it: it is not banned, its domain has room for another connection, and it does
 * not come and go all the time.
 */
import type { NamedClient } from '../actors/client.js';
import type { Domain } from '../actors/domain.js';
import { BANNED, comesTooOften, type ReplyError, TOO_MANY_CONNECTIONS } from '../errors.js';

/** A poll comes again after each answer: that is no coming and going. */
export type Coming = 'connection' | 'poll';

/** Why a client is not let in; null: it is. What is refused is counted here. */
export function connectionRefusal(
  domain: Domain,
  client: NamedClient,
  address: () => string | null,
  coming: Coming,
): ReplyError | null {
  const refused =
    (domain.quotas.bans.size > 0 && isBanned(domain, client, address()) ? BANNED : null) ??
    roomRefusal(domain) ??
    (coming === 'connection' ? flappingRefusal(domain, client.token) : null);
  if (refused) {
    const { metrics } = domain.runtime;
    metrics.refuse(refused.refusal ?? 'unavailable', { domain: domain.name, address: address() ?? '' });
  }
  return refused;
}

export function isBanned(domain: Domain, client: NamedClient, address: string | null): boolean {
  const { bans } = domain.quotas;
  if (bans.size === 0) return false;
  return bans.find({ address, id: domain.shortId(client.address), clientId: client.name }) !== null;
}

/** Why a domain takes no further connection; null: it does. */
export function roomRefusal(domain: Domain): ReplyError | null {
  const { connectionsPerDomain } = domain.limits;
  if (connectionsPerDomain === 0 || domain.quotas.connections < connectionsPerDomain) return null;
  domain.metrics.exceed('connectionsPerDomain');
  return TOO_MANY_CONNECTIONS;
}

/** Why somebody who comes and goes too often has to wait; null: it is let in. `who`: a ticket's token, or an address. */
export function flappingRefusal(domain: Domain, who: string): ReplyError | null {
  const waitS = domain.quotas.comings.waitS(who, domain.limits.comingsPerMinute);
  if (waitS === 0) return null;
  domain.metrics.exceed('comingsPerMinute');
  return comesTooOften(waitS);
}
