/** Brings a session back as it was when the server ended; its subscriptions hold before anybody publishes. */
import type { Ref } from '../../actors/system.js';
import { tellGroups } from './disconnect.js';
import { later } from './expiry.js';
import type { StoredSession } from './journal.js';
import type { SessionMessage, SessionState } from './session.js';
import { newSubscription } from './subscribe.js';

/** When a session ends, in milliseconds since the epoch; Infinity: never. If it was connected, its time begins now. */
export function endOf({ expiryS, lostAt }: Pick<StoredSession, 'expiryS' | 'lostAt'>, now: number): number {
  return (lostAt ?? now) + expiryS * 1000;
}

export function restoreSession(
  state: SessionState,
  stored: Omit<StoredSession, 'journal'>,
  self: Ref<SessionMessage>,
): void {
  const { broker, outbound, received } = state;
  const { domain } = broker;
  const { clock } = domain.runtime;
  const now = clock.now();
  state.alive = true;
  state.expiryS = stored.expiryS;
  for (const kept of stored.subscriptions) {
    const subscription = newSubscription(state, { ...kept, retainHandling: 0 }, kept.identifier, self);
    state.subscriptions.set(kept.filter, subscription);
    broker.subscribed(subscription.filter);
    if (kept.owed) state.replay.begin(kept.filter, broker.retained.order);
    if (subscription.group) subscription.group.tell({ kind: 'join', member: subscription });
    else domain.router.tell({ kind: 'exchange', remove: [], insert: [subscription] });
  }
  tellGroups(state, self, false);
  for (const id of stored.received) received.add(id);
  outbound.restore(stored.items);
  const end = endOf(stored, now);
  if (stored.lostAt === null) state.journal?.keep({ clientId: state.clientId, expiryS: stored.expiryS, lostAt: now });
  if (!Number.isFinite(end)) return;
  state.cancelExpiry = later(clock, Math.max(0, end - now) / 1000, () => self.tell({ kind: 'expired' }));
}
