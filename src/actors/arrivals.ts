/**
 * Clients whose ONLINE has been let in and is not done yet: between the two lies a turn of the router, in a cluster the
 * answer of another node. What they bring counts from the start, so that many who come at once are no more than one
 * after another.
 */
import type { Client } from './client.js';
import { FOOTPRINT } from './memory.js';

/** What one of them brings that is not there yet. */
export interface Arriving {
  /** 1: its endpoint comes online with it. */
  readonly endpoints: 0 | 1;
  /** Rooms of the domain that have no members. */
  readonly newRooms: number;
  /** Rooms that its endpoint is not in. */
  readonly rooms: number;
  /** Buddies whom its endpoint does not watch. */
  readonly buddies: number;
}

export const NOTHING: Arriving = { endpoints: 0, newRooms: 0, rooms: 0, buddies: 0 };

/** About how much memory it will take. */
export function bytesOf({ endpoints, newRooms, buddies }: Arriving): number {
  return endpoints * FOOTPRINT.endpoint + newRooms * FOOTPRINT.room + buddies * FOOTPRINT.buddy;
}

function plus(a: Arriving, b: Arriving): Arriving {
  return {
    endpoints: a.endpoints === 1 || b.endpoints === 1 ? 1 : 0,
    newRooms: a.newRooms + b.newRooms,
    rooms: a.rooms + b.rooms,
    buddies: a.buddies + b.buddies,
  };
}

export class Arrivals {
  readonly #brings = new Map<Client, Arriving>();
  #endpoints = 0;
  #newRooms = 0;
  #bytes = 0;

  get endpoints(): number {
    return this.#endpoints;
  }

  get newRooms(): number {
    return this.#newRooms;
  }

  /** What all of them will take. */
  get bytes(): number {
    return this.#bytes;
  }

  begin(client: Client, arriving: Arriving): void {
    this.#brings.set(client, arriving);
    this.#endpoints += arriving.endpoints;
    this.#newRooms += arriving.newRooms;
    this.#bytes += bytesOf(arriving);
  }

  /** It is there, or will not come. */
  end(client: Client): void {
    const brings = this.#brings.get(client);
    if (!brings) return;
    this.#brings.delete(client);
    this.#endpoints -= brings.endpoints;
    this.#newRooms -= brings.newRooms;
    this.#bytes -= bytesOf(brings);
  }

  /** What some clients bring together. */
  of(clients: readonly Client[]): Arriving {
    let all = NOTHING;
    if (this.#brings.size === 0) return all;
    for (const client of clients) all = plus(all, this.#brings.get(client) ?? NOTHING);
    return all;
  }
}
