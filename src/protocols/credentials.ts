/**
 * Who may act for a domain: its backends by API key, its clients by ticket. The one place that compares secrets, for
 * HTTP, WebSocket and MQTT alike.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Address, addressOf, isAddressOf, isId, type Node } from '../actors/address.js';
import type { Client } from '../actors/client.js';
import type { FoundClient } from '../actors/cluster.js';
import type { Domain } from '../actors/domain.js';
import { isToken, parseTicket, splitTicket, type Ticket } from '../actors/ticket.js';
import type { DomainConfig } from '../config.js';

const ENDPOINT = /^[uvs]id$/;
const HASHED = 'sha256:';

/** SHA-256 of each API key, by the settings that hold the keys: after a reload there are other settings. */
const hashes = new WeakMap<DomainConfig, readonly Buffer[]>();

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function hashesOf(settings: DomainConfig): readonly Buffer[] {
  let known = hashes.get(settings);
  if (!known) {
    const keys = typeof settings.apikey === 'string' ? [settings.apikey] : settings.apikey;
    known = keys.map((key) => (key.startsWith(HASHED) ? Buffer.from(key.slice(HASHED.length), 'hex') : hashOf(key)));
    hashes.set(settings, known);
  }
  return known;
}

/**
 * Keys that have been found right, so that a busy backend is not hashed for every call (4 µs). No more than there are
 * keys; a set looks texts up by their hash, so the time it takes tells nothing of how much of a wrong key is right.
 */
const accepted = new WeakMap<DomainConfig, Set<string>>();

/** Whether `key` is one of the domain's API keys. Takes the same time for every wrong one. */
export function authenticate(domain: Domain, key: string): boolean {
  if (accepted.get(domain.settings)?.has(key)) return true;
  const given = hashOf(key);
  let valid = false;
  for (const hash of hashesOf(domain.settings)) if (timingSafeEqual(given, hash)) valid = true;
  if (valid) {
    const known = accepted.get(domain.settings) ?? new Set();
    accepted.set(domain.settings, known.add(key));
  }
  return valid;
}

/** Whether the domain has an API key of this SHA-256. */
export function hasHash(domain: Domain, hash: Buffer): boolean {
  return hashesOf(domain.settings).some((one) => timingSafeEqual(hash, one));
}

/** The client that a ticket of this domain stands for; null for an unknown, ended or malformed one. */
export function findTicket(domain: Domain, ticket: string): Client | null {
  const parts = splitTicket(ticket);
  if (!parts) return null;
  const client = domain.tickets.find(parts.token);
  if (client && isAddressOf(client.address, domain.name, parts.node, parts.id)) return client;
  const isUnknown = isToken(parts.token) && !domain.cluster.isKnown(ownerOf(domain, parts), parts.token);
  if (isUnknown) noteUnknown(domain, parts);
  return null;
}

/** The endpoint that a ticket names, whether or not the ticket is valid. */
export function ownerOf(domain: Domain, { node, id }: Ticket): Address {
  return addressOf(domain.name, node as Node, id);
}

/** Notes an unknown ticket among the recent errors, for operators who ask why somebody cannot connect. */
function noteUnknown(domain: Domain, { node, id }: Ticket): void {
  if (!ENDPOINT.test(node) || !isId(id)) return;
  domain.runtime.metrics.recent.add(domain.name, addressOf(domain.name, node as Node, id), 'ticketNotFound');
}

/**
 * The client of a ticket on this node that may be let in; null also for one that this node is still taking over from a node that is gone: what
 * others send to that node is lost until they know, and the client is told so when it comes.
 */
export function findHere(domain: Domain, ticket: string): Client | null {
  const client = findTicket(domain, ticket);
  return client && domain.cluster.isTaking(client.address) ? null : client;
}

/**
 * Finds the client of a ticket wherever in the cluster it lives: `done` is called at once for a client of this node, later
 * with a stand-in for a client of another node.
 */
export function locateTicket(domain: Domain, ticket: string, counting: boolean, done: FoundClient): void {
  const client = findHere(domain, ticket);
  if (client) done(client);
  else visitTicket(domain, ticket, counting, done);
}

/** Whether a ticket of this node has ended a moment ago because its name was signed out. */
export function isSignedOut(domain: Domain, ticket: string): boolean {
  return domain.signOuts.hasEnded(parseTicket(ticket)?.token ?? '');
}

/** Whether a ticket that is none of this node's has been given out by another node. */
export function mayBeElsewhere(domain: Domain, ticket: string): boolean {
  const parsed = parseTicket(ticket);
  return parsed !== null && domain.cluster.isKnown(ownerOf(domain, parsed), parsed.token);
}

/**
 * Finds the client of a ticket that `findTicket` has not found on this node: `done` gets a stand-in for a client of
 * another node, or null. `counting`: who asks keeps a position, and is told where its name has been signed out.
 */
export function visitTicket(domain: Domain, ticket: string, counting: boolean, done: FoundClient): void {
  const parsed = parseTicket(ticket);
  if (!parsed) return done(null);
  const address = ownerOf(domain, parsed);
  if (!domain.cluster.isKnown(address, parsed.token)) return done(null);
  domain.cluster.remoteClient(address, parsed.token, counting, (found, laterS) => {
    if (!found && laterS === undefined) noteUnknown(domain, parsed);
    done(found, laterS);
  });
}
