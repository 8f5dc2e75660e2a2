/** Clients that are told of presence by a tracker that a test drives by hand. */
import type { Address } from '../../src/actors/address.js';
import { Alone } from '../../src/actors/alone.js';
import type { EndpointRecord } from '../../src/actors/endpoint-record.js';
import type { PresenceType } from '../../src/actors/packet.js';
import type { Appearance } from '../../src/actors/presence.js';
import type { PresenceListener } from '../../src/actors/tracker.js';

/** What this node's clients believe by what they have been told, and the port to the other nodes, which counts. */
export class Hearers extends Alone implements PresenceListener {
  readonly believed = new Map<Address, Appearance>();
  /** Members that a room has been told of, as `room member`. */
  readonly members = new Set<string>();
  readonly problems: string[] = [];
  remembers = 0;
  sharedEndpoints = 0;
  stamps = 0;

  constructor() {
    super(() => false);
  }

  override changed(record?: EndpointRecord, type?: 'online' | 'offline' | 'show'): void {
    // The port's own `changed`, that a profile was set, comes without a type.
    if (!record || !type) return;
    const known = this.believed.has(record.address);
    if (known === (type === 'online')) this.problems.push(`${type} of ${record.address}, known: ${known}`);
    if (record.appearance) this.believed.set(record.address, record.appearance);
    else this.believed.delete(record.address);
  }

  inRoom({ address }: EndpointRecord, room: Address, type: PresenceType): void {
    const key = `${room} ${address}`;
    const comes = type === 'join' || type === 'grponline';
    if (this.members.has(key) === comes) this.problems.push(`${type} of ${key} for nothing`);
    if (comes) this.members.add(key);
    else this.members.delete(key);
  }

  moved(): void {}
  contradicted(): void {}

  override stamp(): number {
    this.stamps += 1;
    return this.stamps;
  }

  override remembered(): void {
    this.remembers += 1;
  }

  override forgotten(): void {
    this.remembers -= 1;
  }

  override shared(by: 1 | -1 = 1): void {
    this.sharedEndpoints += by;
  }
}
