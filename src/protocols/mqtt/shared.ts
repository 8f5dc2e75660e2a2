/**
 * A shared subscription, `$share/{group}/{filter}`: owns its members and whose turn it is; stands in the routing table
 * itself. Told by sessions that join, leave, connect and disconnect, and by whoever publishes. Each publication goes to
 * one member, a connected one where there is one [MQTT-4.8.2-4]; what a member could not send comes back. It exists
 * while it has members.
 */
import type { Publication } from '../../actors/publication.js';
import type { Deliver, Published, TopicSubscription } from '../../actors/router.js';
import type { Behaviour, Ref } from '../../actors/system.js';
import type { Broker } from './broker.js';
import { sharedPublicationOf } from './frame-publication.js';

export type GroupMessage =
  | Published
  | Deliver
  | { readonly kind: 'join'; readonly member: TopicSubscription }
  | {
      readonly kind: 'leave';
      readonly member: TopicSubscription;
      /** What the member was given and had not acknowledged when its session ended. */
      readonly returned?: readonly Publication[];
    }
  | { readonly kind: 'presence'; readonly listener: Ref<Published>; readonly connected: boolean }
  /** Another node has chosen this one, whose members are to have the publication. */
  | { readonly kind: 'assigned'; readonly publication: Publication }
  /** A member could not send the publication to its client. */
  | { readonly kind: 'returned'; readonly publication: Publication };

interface Member {
  readonly subscription: TopicSubscription;
  connected: boolean;
}

export interface GroupState {
  readonly broker: Broker;
  /** The shared subscription's name in the broker. */
  readonly name: string;
  readonly filter: string;
  members: Member[];
  turn: number;
  subscription: TopicSubscription | null;
}

export function newGroup(broker: Broker, name: string, filter: string): GroupState {
  return { broker, name, filter, members: [], turn: 0, subscription: null };
}

function receive(state: GroupState, message: GroupMessage): GroupState {
  switch (message.kind) {
    case 'published':
    case 'returned':
      return passInCluster(state, message.publication);
    case 'deliver':
      return message.relayed ? state : passInCluster(state, sharedPublicationOf(message.packet));
    case 'assigned':
      return pass(state, message.publication);
    case 'join':
      state.members = [
        ...state.members.filter(({ subscription }) => subscription.listener !== message.member.listener),
        { subscription: message.member, connected: true },
      ];
      return counted(state);
    case 'leave':
      state.members = state.members.filter(({ subscription }) => subscription !== message.member);
      counted(state);
      for (const publication of message.returned ?? []) passInCluster(state, publication);
      return state;
    case 'presence':
      for (const member of state.members) {
        if (member.subscription.listener === message.listener) member.connected = message.connected;
      }
      return counted(state);
  }
}

/** Tells other nodes how many members are here, and how many of them are connected. */
function counted(state: GroupState): GroupState {
  const { members, name, filter } = state;
  const connected = members.filter((member) => member.connected).length;
  const count = members.length === 0 ? null : { connected, total: members.length };
  state.broker.domain.cluster.topics.shareChanged(name, filter, count);
  return state;
}

/** Gives a publication to a member on the node whose turn it is. */
function passInCluster(state: GroupState, publication: Publication): GroupState {
  const isPassed = state.broker.domain.cluster.topics.pass(state.name, publication);
  return isPassed ? state : pass(state, publication);
}

/** Gives a publication to the member whose turn it is; connected members come first. */
function pass(state: GroupState, publication: Publication): GroupState {
  const { members } = state;
  const count = members.length;
  let chosen: Member | null = null;
  for (let i = 1; i <= count && !chosen?.connected; i++) {
    const member = members[(state.turn + i) % count] as Member;
    if (chosen && !member.connected) continue;
    chosen = member;
  }
  if (!chosen) {
    state.broker.domain.metrics.dropped.noSubscriber += 1;
    return state;
  }
  state.turn = members.indexOf(chosen);
  const { subscription } = chosen;
  subscription.listener.tell({
    kind: 'published',
    publication,
    subscription,
    others: null,
  });
  return state;
}

function afterStop({ broker, name, filter, subscription }: GroupState): void {
  const { domain } = broker;
  domain.cluster.topics.shareChanged(name, filter, null);
  broker.groups.delete(name);
  if (subscription) {
    domain.router.tell({ kind: 'exchange', remove: [subscription], insert: [] });
  }
}

export const group: Behaviour<GroupState, GroupMessage> = {
  receive,
  isDone: ({ members }) => members.length === 0,
  afterStop,
};
