/**
 * Who lives in a domain: address → live actor, and what others may know of it. Each entry is written by its own actor
 * only and read by all (PRESENCES, ONLINE's `presences`, the nick of a push), so nobody asks around.
 */
import type { Address } from './address.js';
import type { EndpointMessage } from './endpoint.js';
import type { Appearance, Show } from './presence.js';
import type { RoomMessage } from './room.js';
import type { Ref } from './system.js';

export interface EndpointEntry {
  readonly actor: Ref<EndpointMessage>;
  nick: string;
  show: Show;
  status: string;
  /** Filters it watches its buddies by; see roster.ts. */
  watching: readonly string[];
  /** How others see it; null: offline to them. */
  appearance: Appearance | null;
  /** The rooms it is in. */
  rooms: readonly Address[];
}

export class Registry {
  readonly endpoints = new Map<Address, EndpointEntry>();
  readonly rooms = new Map<Address, Ref<RoomMessage>>();

  /** How others see an endpoint; null where it is offline to them. */
  appearance(address: Address): Appearance | null {
    return this.endpoints.get(address)?.appearance ?? null;
  }
}
