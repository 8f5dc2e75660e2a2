/**
 * The router: owns a domain's routing table, the topic tree of MQTT subscriptions. Only its messages change the table;
 * as with an ETS table in Erlang, anybody may read it, so no message waits in the router's mailbox. Endpoints and rooms,
 * whose addresses are no patterns, are found in the tracker.
 *
 * Told by MQTT sessions. Never delivers anything itself.
 */
import type { Packet } from './packet.js';
import type { Publication, Qos } from './publication.js';
import type { Behaviour, Ref } from './system.js';
import type { TopicTree } from './topic-tree.js';

/** The message by which a subscriber gets a packet; one object for all receivers. */
export interface Deliver {
  readonly kind: 'deliver';
  readonly packet: Packet;
  /** The name of the one terminal that the packet is for; null: all terminals. */
  readonly only: string | null;
  /** Set where the endpoint's other parts get the packet by another way. */
  readonly relayed?: true;
  /** For an MQTT session that watches: its subscriptions that match. */
  readonly matched?: readonly TopicSubscription[];
}

/** An entry of the routing table: packets come to the subscriber as `deliver`, publications as `published`. */
export interface TopicSubscription {
  readonly actor: Ref<Deliver>;
  readonly listener: Ref<Published>;
  /** The topic filter; of a shared subscription without its name. */
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** The entry stands for a shared subscription. */
  readonly isShared?: true;
  /** The subscription identifier; 0: none. */
  readonly identifier: number;
}

/** What a listener is told of a publication. */
export interface Published {
  readonly kind: 'published';
  readonly publication: Publication;
  /** The first of the listener's subscriptions that match. */
  readonly subscription: TopicSubscription;
  /** The listener's other subscriptions that match; null: none. */
  readonly others: readonly TopicSubscription[] | null;
}

/** Subscriptions that go, then those that come, in one step, so that nothing is missed or comes twice. */
export interface RouterMessage {
  readonly kind: 'exchange';
  readonly remove: readonly TopicSubscription[];
  readonly insert: readonly TopicSubscription[];
  readonly done?: () => void;
}

export type Table = TopicTree<TopicSubscription>;

function receive(table: Table, { remove, insert, done }: RouterMessage): Table {
  for (const subscription of remove) table.remove(subscription.filter, subscription);
  for (const subscription of insert) table.insert(subscription.filter, subscription);
  done?.();
  return table;
}

export const router: Behaviour<Table, RouterMessage> = { receive };

/**
 * Calls `done` when all messages told to actors of the domain before are handled, since the mailboxes of a domain are one queue; with
 * several `hops` also the messages that the handling of these has told, and so on.
 */
export function whenHandled(domain: { readonly router: Ref<RouterMessage> }, done: () => void, hops = 1): void {
  const next = hops > 1 ? () => whenHandled(domain, done, hops - 1) : done;
  domain.router.tell({ kind: 'exchange', remove: [], insert: [], done: next });
}

/** Tells those who watch a packet's topic by MQTT, each once; answers whether there are any. */
export function tellWatchers(table: Table, packet: Packet, relayed?: true): boolean {
  if (table.size === 0) return false;
  const watching: Watching = new Map();
  table.match(packet.topic, (subscription) => gather(watching, subscription));
  const deliver: Deliver = { kind: 'deliver', packet, only: null, ...(relayed ? { relayed } : null) };
  for (const [actor, matched] of watching) actor.tell({ ...deliver, matched });
  return watching.size > 0;
}

/** Subscriptions by MQTT that match a packet, by who has them: nobody is to match all of its own again. */
type Watching = Map<Ref<Deliver>, TopicSubscription[]>;

function gather(watching: Watching, subscription: TopicSubscription): void {
  const known = watching.get(subscription.actor);
  if (known) known.push(subscription);
  else watching.set(subscription.actor, [subscription]);
}

/**
 * Tells every listener whose subscriptions match the publication, once each, with all of these [MQTT-3.3.4-2]. Answers
 * how many there are.
 */
export function publish(table: Table, publication: Publication, relayed?: true): number {
  let first: TopicSubscription | null = null;
  let more: TopicSubscription[] | null = null;
  table.match(publication.topic, (subscription) => {
    // The node where a publication was made has chosen a member of each shared subscription.
    if (relayed && subscription.isShared) return;
    if (subscription.noLocal && subscription.listener === publication.publisher) return;
    if (first === null) first = subscription;
    else if (more === null) more = [first, subscription];
    else more.push(subscription);
  });
  if (more !== null) return publishToMany(publication, more);
  if (first === null) return 0;
  tellPublished(publication, first, null);
  return 1;
}

function tellPublished(
  publication: Publication,
  subscription: TopicSubscription,
  others: readonly TopicSubscription[] | null,
): void {
  subscription.listener.tell({ kind: 'published', publication, subscription, others });
}

function publishToMany(publication: Publication, matched: readonly TopicSubscription[]): number {
  // A listener has each filter once: only different filters can overlap.
  const { filter } = matched[0] as TopicSubscription;
  if (matched.every((subscription) => subscription.filter === filter)) {
    for (const subscription of matched) tellPublished(publication, subscription, null);
    return matched.length;
  }
  const byListener = new Map<Ref<Published>, TopicSubscription[]>();
  for (const subscription of matched) {
    const known = byListener.get(subscription.listener);
    if (known) known.push(subscription);
    else byListener.set(subscription.listener, [subscription]);
  }
  for (const [subscription, ...others] of byListener.values()) {
    if (subscription) tellPublished(publication, subscription, others.length > 0 ? others : null);
  }
  return byListener.size;
}
