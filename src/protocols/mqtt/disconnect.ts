/** DISCONNECT, the loss of a connection, the will, and the end of a session: MQTT 5 sections 3.14, 3.1.3.2 and 4.1. */
import type { Ref } from '../../actors/system.js';
import type { Connection } from './connection.js';
import { expiryAfter, later } from './expiry.js';
import type { Item } from './outbound.js';
import type { Disconnect } from './packets.js';
import { REASON } from './reason.js';
import type { SessionMessage, SessionState } from './session.js';

/** Takes a DISCONNECT. Answers 0, or the reason code of what is wrong with it. */
export function disconnect(
  state: SessionState,
  connection: Connection,
  packet: Disconnect,
  self: Ref<SessionMessage>,
): number {
  const expiryS = expiryAfter(state.expiryS, packet);
  if (expiryS === null) return REASON.protocolError;
  state.expiryS = expiryS;
  if (packet.reason === REASON.success) state.will.discard();
  connection.end();
  lost(state, self);
  return 0;
}

/** The connection has gone: its will becomes due, and the session ends now, later or never. */
export function lost(state: SessionState, self: Ref<SessionMessage>): void {
  const { broker, expiryS } = state;
  const { clock } = broker.domain.runtime;
  state.connection = null;
  broker.domain.metrics.mqtt.connected -= 1;
  tellGroups(state, self, false);
  // Where the session ends now, `resetSession` gives back what waits, together with what is in flight.
  if (expiryS > 0) giveBack(state.outbound.disconnected());
  state.will.lost(expiryS, () => self.tell({ kind: 'willDue' }));
  state.journal?.keep({ clientId: state.clientId, expiryS, lostAt: clock.now() });
  if (expiryS === 0)
    state.alive = false; // [MQTT-3.1.2-23]
  else if (Number.isFinite(expiryS)) {
    state.cancelExpiry = later(clock, expiryS, () => self.tell({ kind: 'expired' }));
  }
}

/** Tells the session's shared subscriptions whether its client is connected. */
export function tellGroups(state: SessionState, self: Ref<SessionMessage>, connected: boolean): void {
  for (const { group } of state.subscriptions.values()) {
    if (group) group.tell({ kind: 'presence', listener: self, connected });
  }
}

/** Gives publications back to the shared subscriptions that they came by, for other members: section 4.8.2. */
function giveBack(items: readonly Item[]): void {
  for (const { group, publication } of items) {
    if (group && !group.stopped) group.tell({ kind: 'returned', publication });
  }
}

/** Forgets everything of the session but its connection. */
export function resetSession(state: SessionState): void {
  const { router } = state.broker.domain;
  state.epoch += 1;
  const remove = [...state.subscriptions.values()];
  for (const filter of state.subscriptions.keys()) state.journal?.unsubscribe(filter);
  state.subscriptions = new Map();
  for (const { filter } of remove) state.broker.unsubscribed(filter);
  const shared = new Map<unknown, Item[]>();
  for (const item of state.outbound.ended()) {
    const items = shared.get(item.group);
    if (items) items.push(item);
    else shared.set(item.group, [item]);
  }
  for (const member of remove) {
    const { group } = member;
    if (!group) continue;
    // Told together with the member's leaving, so that none of this comes back to that member.
    const returned = shared.get(group)?.map(({ publication }) => publication) ?? [];
    shared.delete(group);
    group.tell({ kind: 'leave', member, returned });
  }
  giveBack([...shared.values()].flat());
  const own = remove.filter(({ group }) => group === null);
  if (own.length > 0) router.tell({ kind: 'exchange', remove: own, insert: [] });
  state.broker.domain.cluster.topics.unsubscribe(own.map(({ filter }) => filter));
  state.replay.clear();
  state.outbound.clear();
  for (const id of state.received) state.journal?.release(id);
  state.received.clear();
  state.pending.clear();
}

/** The delay of the will is over, or the session has ended: publishes the will, and forgets a session that has ended. */
export function endSession(state: SessionState, kind: 'willDue' | 'expired' | 'stopped'): void {
  state.will.publishPending();
  if (kind === 'willDue') return;
  state.cancelExpiry?.();
  state.cancelExpiry = null;
  resetSession(state);
  state.journal?.end();
}
