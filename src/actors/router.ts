/**
 * The router: owns a domain's routing table, the topic tree. Only its messages change the table; as with an ETS table
 * in Erlang, anybody may read it, so no message waits in the router's mailbox.
 *
 * Told by endpoints, rooms and MQTT sessions. Never delivers anything itself.
 */
import type { Address } from './address.js';
import type { Packet } from './packet.js';
import type { Publication, Qos } from './publication.js';
import type { Behaviour, Ref, System } from './system.js';
import type { TopicTree } from './topic-tree.js';

/** What a subscriber is told of a packet; one value for all who receive it. */
export interface Deliver {
  readonly kind: 'deliver';
  readonly packet: Packet;
  /** The one terminal it is for; null: all of them. */
  readonly only: string | null;
  /** Another node has seen to all else that is for it: the endpoint's other parts, its webhook. */
  readonly relayed?: true;
  /** For who watches by MQTT: those of its subscriptions that match. */
  readonly matched?: readonly TopicSubscription[];
}

/** An entry of the routing table. */
export interface Subscription {
  readonly actor: Ref<Deliver>;
  /** The endpoint or room it stands for; null for what is neither. */
  readonly owner: Address | null;
}

/** A subscription by MQTT: packets come to it as `deliver`, like to every subscriber, publications as `published`. */
export interface TopicSubscription extends Subscription {
  readonly owner: null;
  readonly listener: Ref<Published>;
  /** What it matches, a share's name left out. */
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** It stands for a shared subscription. */
  readonly isShared?: true;
  /** Subscription identifier; 0: none. */
  readonly identifier: number;
}

/** What a listener is told of a publication. */
export interface Published {
  readonly kind: 'published';
  readonly publication: Publication;
  /** The first of its subscriptions that match. */
  readonly subscription: TopicSubscription;
  /** The others; null: none. */
  readonly others: readonly TopicSubscription[] | null;
}

export type RouterMessage =
  | {
      readonly kind: 'subscribe';
      readonly filters: readonly string[];
      readonly subscription: Subscription;
      /** Called once the table has them all, with the table's own copies of the filters. */
      readonly done?: (filters: readonly string[]) => void;
    }
  | { readonly kind: 'unsubscribe'; readonly filters: readonly string[]; readonly subscription: Subscription }
  /** MQTT: subscriptions that go, then those that come, in one step, so that nothing is missed or comes twice. */
  | {
      readonly kind: 'exchange';
      readonly remove: readonly TopicSubscription[];
      readonly insert: readonly TopicSubscription[];
      readonly done?: () => void;
    };

type Table = TopicTree<Subscription>;

function receive(table: Table, message: RouterMessage): Table {
  switch (message.kind) {
    case 'subscribe': {
      const kept = message.filters.map((filter) => table.insert(filter, message.subscription));
      message.done?.(kept);
      return table;
    }
    case 'unsubscribe':
      for (const filter of message.filters) table.remove(filter, message.subscription);
      return table;
    case 'exchange':
      for (const subscription of message.remove) table.remove(subscription.filter, subscription);
      for (const subscription of message.insert) table.insert(subscription.filter, subscription);
      message.done?.();
      return table;
  }
}

export const router: Behaviour<Table, RouterMessage> = { receive };

/**
 * Resolves a packet's topic and tells every subscriber but `except`, those whose filters overlap once. `owner` is the
 * endpoint or room that the topic names, which is there before the table has it and gone before the table knows. Answers
 * false where there is nobody: the endpoint is offline.
 */
export function route(
  system: System,
  table: Table,
  deliver: Deliver,
  owner: Ref<Deliver> | null,
  except: Ref<never> | null = null,
): boolean {
  const { topic } = deliver.packet;
  let found = owner !== null && owner !== except;
  if (owner !== null && found) system.tell(owner, deliver);
  if (table.wildcards === 0) {
    for (const subscription of table.exact(topic)) {
      const { actor } = subscription;
      if (actor === owner || actor === except || actor.stopped) continue;
      system.tell(actor, isTopicSubscription(subscription) ? { ...deliver, matched: [subscription] } : deliver);
      found = true;
    }
    return found;
  }
  const told = new Set<Ref<never>>();
  if (owner) told.add(owner);
  if (except) told.add(except);
  const watching: Watching = new Map();
  table.match(topic, (subscription) => {
    const { actor } = subscription;
    if (told.has(actor) || actor.stopped) return;
    found = true;
    if (isTopicSubscription(subscription)) return gather(watching, subscription);
    told.add(actor);
    system.tell(actor, deliver);
  });
  tellWatchers(system, deliver, watching);
  return found;
}

/** Tells those who watch a packet's topic by MQTT, each once. */
export function routeToWatchers(system: System, table: Table, packet: Packet, relayed?: true): boolean {
  const watching: Watching = new Map();
  table.match(packet.topic, (subscription) => {
    if (isTopicSubscription(subscription)) gather(watching, subscription);
  });
  const deliver: Deliver = { kind: 'deliver', packet, only: null };
  tellWatchers(system, relayed ? { ...deliver, relayed } : deliver, watching);
  return watching.size > 0;
}

/** Subscriptions by MQTT that match a packet, by who has them: nobody is to match all of its own again. */
type Watching = Map<Ref<Deliver>, TopicSubscription[]>;

function gather(watching: Watching, subscription: TopicSubscription): void {
  const known = watching.get(subscription.actor);
  if (known) known.push(subscription);
  else watching.set(subscription.actor, [subscription]);
}

function tellWatchers(system: System, deliver: Deliver, watching: Watching): void {
  for (const [actor, matched] of watching) system.tell(actor, { ...deliver, matched });
}

function isTopicSubscription(subscription: Subscription): subscription is TopicSubscription {
  return 'listener' in subscription;
}

/**
 * Tells every listener whose subscriptions match the publication, once each, with all of these [MQTT-3.3.4-2]. Answers
 * how many there are.
 */
export function publish(system: System, table: Table, publication: Publication, relayed?: true): number {
  let first: TopicSubscription | null = null;
  let more: TopicSubscription[] | null = null;
  table.match(publication.topic, (subscription) => {
    if (!isTopicSubscription(subscription)) return;
    // Shared subscriptions: the node that it was published on has chosen.
    if (relayed && subscription.isShared) return;
    if (subscription.noLocal && subscription.listener === publication.publisher) return;
    if (first === null) first = subscription;
    else if (more === null) more = [first, subscription];
    else more.push(subscription);
  });
  if (more !== null) return publishToMany(system, publication, more);
  if (first === null) return 0;
  tellPublished(system, publication, first, null);
  return 1;
}

function tellPublished(
  system: System,
  publication: Publication,
  subscription: TopicSubscription,
  others: readonly TopicSubscription[] | null,
): void {
  system.tell<Published>(subscription.listener, { kind: 'published', publication, subscription, others });
}

function publishToMany(system: System, publication: Publication, matched: readonly TopicSubscription[]): number {
  // One filter has a listener once: only those of different filters overlap.
  const { filter } = matched[0] as TopicSubscription;
  if (matched.every((subscription) => subscription.filter === filter)) {
    for (const subscription of matched) tellPublished(system, publication, subscription, null);
    return matched.length;
  }
  const byListener = new Map<Ref<Published>, TopicSubscription[]>();
  for (const subscription of matched) {
    const known = byListener.get(subscription.listener);
    if (known) known.push(subscription);
    else byListener.set(subscription.listener, [subscription]);
  }
  for (const [subscription, ...others] of byListener.values()) {
    if (subscription) tellPublished(system, publication, subscription, others.length > 0 ? others : null);
  }
  return byListener.size;
}
