/** Ends clients of a domain on this node: those of one endpoint, of one name, or from one network address. */
import { addressOf } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import type { BanKind } from '../directory/bans.js';
import { endpointTarget } from './caller.js';

export interface Whom {
  readonly kind: BanKind;
  readonly value: string;
}

/** As OFFLINE by name does: they hear `stopped`, and come back with no ticket that they have. Answers how many tickets ended here. */
export function kick(domain: Domain, { kind, value }: Whom): number {
  for (const also of domain.onKick) also(kind, value);
  if (kind === 'id') return kickEndpoint(domain, value);
  let ended = 0;
  for (const client of [...domain.tickets.values()]) {
    const found = kind === 'clientId' ? client.name : client.transport?.address;
    if (found !== value) continue;
    client.endpoint.tell({ kind: 'offline', client, reply: () => undefined });
    ended += 1;
  }
  return ended;
}

function kickEndpoint(domain: Domain, id: string): number {
  const target = endpointTarget(domain, id);
  if (!target) return 0;
  const address = addressOf(domain.name, target.node, target.id);
  const ended = [...domain.tickets.values()].filter((client) => client.address === address).length;
  domain.signOut(address)?.tell({ kind: 'offline', client: null, reply: () => undefined });
  return ended;
}
