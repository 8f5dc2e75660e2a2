/**
 * What the fields of items must be. Nodes believe each other, but a field of the wrong type comes from another version
 * or from no node at all: its item is refused before it reaches an actor or a client's queue. Further fields behind those
 * that are named here come from a newer version, and are ignored.
 */
import { isOfDomain } from '../actors/address.js';
import { PACKET_FIELDS } from '../actors/packet.js';
import { parsePosition } from '../actors/position.js';
import { isShow } from '../actors/presence.js';
import type { Followed } from '../actors/trace.js';
import { PACKET_KINDS, type PacketKind, TRANSPORT_KINDS } from '../metrics.js';

/** Whether a field is what it must be. `domain` is the one that the item names. */
export type Validator = (value: unknown, domain: string) => boolean;

/** The end of the year 2100 as a stamp: no change could ever be later than a higher one. */
const LAST_STAMP = Date.UTC(2101, 0) * 1024;

export const text: Validator = (value) => typeof value === 'string';
export const count: Validator = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
export const countOrTrue: Validator = (value, domain) => value === true || count(value, domain);
export const position: Validator = (value) => typeof value === 'string' && parsePosition(value) !== null;
/** A position, or `0`: what had been confirmed is unknown. */
export const start: Validator = (value) => value === '0' || position(value, '');
export const stamp: Validator = (value) => count(value, '') && (value as number) < LAST_STAMP;
export const show: Validator = (value) => typeof value === 'string' && isShow(value);
export const flag: Validator = (value) => typeof value === 'boolean' || value === 0 || value === 1;
/** The address of an item whose packet names the address itself. */
export const nothing: Validator = (value) => value === null;
export const address: Validator = (value, domain) => isOfDomain(domain, value);
export const transport: Validator = (value) => (TRANSPORT_KINDS as readonly unknown[]).includes(value);

export function orNull(validator: Validator): Validator {
  return (value, domain) => value === null || validator(value, domain);
}

export function listOf(validator: Validator): Validator {
  return (value, domain) => Array.isArray(value) && value.every((one) => validator(one, domain));
}

export const addresses = listOf(address);
export const texts = listOf(text);

/** A room, and when it was entered or left. */
const moment: Validator = (value, domain) => {
  return Array.isArray(value) && address(value[0], domain) && stamp(value[1], domain);
};

export const moments = listOf(moment);

/** Who has been signed out, and when. */
const signOut: Validator = (value, domain) => {
  return Array.isArray(value) && address(value[0], domain) && Number.isFinite(value[1]);
};

export const signOuts = listOf(signOut);

export const endedTickets = listOf((value) => {
  return Array.isArray(value) && typeof value[0] === 'string' && Number.isFinite(value[1]);
});

export const packet: Validator = (value, domain) => {
  if (!Array.isArray(value)) return false;
  const [kind, topic, sender, fields, followed = null, expiresInMs = 0]: unknown[] = value;
  if (followed !== null && !isFollowed(followed)) return false;
  if (!Number.isFinite(expiresInMs)) return false;
  if (!isPacketKind(kind) || !address(topic, domain)) return false;
  if (sender !== null && !address(sender, domain)) return false;
  if (typeof fields !== 'object' || fields === null) return false;
  const known = fields as Readonly<Record<string, unknown>>;
  for (const name of PACKET_FIELDS[kind].required) if (typeof known[name] !== 'string') return false;
  for (const name in known) if (typeof known[name] !== 'string' && name !== 'data') return false;
  return true;
};

function isFollowed(value: unknown): value is Followed {
  return Array.isArray(value) && typeof value[0] === 'string' && count(value[1], '');
}

function isPacketKind(kind: unknown): kind is PacketKind {
  return (PACKET_KINDS as readonly unknown[]).includes(kind);
}

export const packets = listOf(packet);

/** Messages, of some of which there is only the name. */
export const packetsAndNames = listOf((value, domain) => typeof value === 'string' || packet(value, domain));

export const publication: Validator = (value) => {
  if (!Array.isArray(value)) return false;
  const [topic, qos, retain, expiresInMs, payload, properties]: unknown[] = value;
  const isKnown = [topic, payload, properties].every((one) => typeof one === 'string');
  const expires = expiresInMs === null || typeof expiresInMs === 'number';
  return isKnown && [0, 1, 2].includes(qos as number) && [0, 1].includes(retain as number) && expires;
};

/** A publication for one MQTT session, with the QoS, the RETAIN flag and the subscription identifiers of its delivery. */
export const movedItem: Validator = (value, domain) => {
  if (!Array.isArray(value)) return false;
  const [wire, qos, retain, identifiers]: unknown[] = value;
  if (!publication(wire, domain) || !count(qos, domain) || !flag(retain, domain)) return false;
  return listOf(count)(identifiers, domain);
};

/** Whether the fields of an item are those of its kind. */
export function fits(validators: readonly Validator[], fields: readonly unknown[], domain: string): boolean {
  return validators.every((validator, at) => validator(fields[at], domain));
}
