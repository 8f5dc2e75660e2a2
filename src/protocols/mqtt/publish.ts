/** PUBLISH from a backend, and the acknowledgements of both directions: MQTT 5 sections 3.3 to 3.7 and 4.3. */
import type { Domain } from '../../actors/domain.js';
import type { Ref } from '../../actors/system.js';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import type { Ack, Publish, Will } from './packets.js';
import {
  ACCEPTED,
  DISK_FULL,
  dropRefused,
  isAddress,
  MEMORY_FULL,
  noMemory,
  type Outcome,
  PENDING,
  pushTo,
  refusal,
  TOO_MANY_MESSAGES,
} from './publish-to-address.js';
import { REASON } from './reason.js';
import {
  acknowledgeCopy,
  acknowledgeLater,
  acknowledgeNow,
  exceeds,
  floods,
  isCopy,
  keep,
  mustEnd,
  type Pending,
  pend,
  REFUSED,
  release,
  settle,
} from './received.js';
import type { SessionMessage, SessionState } from './session.js';

const UNHEARD: Outcome = { reason: REASON.noMatchingSubscribers, text: '' };
/**
 * Mailboxes that a publication passes at most until every session has it: by way of a shared subscription, or of an
 * endpoint and those who watch its address.
 */
const HOPS = 3;
const TOPIC_REFUSED: ReadonlySet<number> = new Set([REASON.notAuthorized, REASON.topicNameInvalid]);

/** Whether a topic is one that only the server publishes to, or is none at all: sections 4.7.2 and 4.8.2. */
function isReserved(topic: string): boolean {
  return topic.startsWith('$SYS/') || topic.startsWith('$share/');
}

/** Hands a publication to its receivers; answers what became of it. */
function accept(
  broker: Broker,
  what: Pick<Publish, 'topic' | 'payload' | 'qos' | 'retain' | 'properties' | 'expiryS'> &
    Partial<Pick<Publish, 'sent'>>,
  publisher: Ref<SessionMessage> | null,
  answered: (outcome: Outcome) => void = () => undefined,
): Outcome {
  const { topic, payload, qos, retain, properties, expiryS, sent = null } = what;
  // An empty payload deletes a retained publication, which makes room.
  if (payload.length > 0 && broker.domain.shortage) return noMemory(broker.domain);
  if (isAddress(topic)) return pushTo(broker.domain, what, answered);
  if (publisher !== null && !broker.domain.quotas.takeMessage()) return TOO_MANY_MESSAGES;
  if (isReserved(topic)) return refusal(REASON.notAuthorized);
  const expiresAt = expiryS === null ? Number.POSITIVE_INFINITY : broker.domain.runtime.clock.now() + expiryS * 1000;
  if (broker.isDiskFull(what)) return DISK_FULL;
  // At QoS 0 nothing is promised, so nothing is refused.
  if (qos > 0 && !broker.domain.memory.hasRoom(payload.length)) return noMemory(broker.domain);
  const heard = broker.publish({ topic, payload, qos, retain, properties, expiresAt, publisher, sent });
  return heard === 0 ? UNHEARD : ACCEPTED;
}

/** Publishes a will that is due; one that its session could not have published is dropped. */
export function acceptWill(broker: Broker, will: Will): void {
  if (broker.closed) return;
  const outcome = accept(broker, will, null);
  if (outcome.reason >= REFUSED) dropRefused(broker.domain, will.topic, outcome);
}

/** Takes a PUBLISH. Answers 0, or the reason code with which the connection ends. */
export function publishFromClient(
  state: SessionState,
  connection: Connection,
  packet: Publish,
  self: Ref<SessionMessage>,
): number {
  const { broker } = state;
  const { qos, topic } = packet;
  broker.domain.metrics.mqtt.received += 1;
  if (qos > 0 && floods(connection)) return REASON.receiveMaximumExceeded;
  if (isCopy(state, packet)) {
    tellWhenStored(state, self, acknowledgeCopy(state, connection, packet));
    return 0;
  }
  if (qos > 0 && exceeds(connection, broker.context.config().mqtt.receiveMaximum)) return REASON.receiveMaximumExceeded;
  if (qos > 0 && isAddress(topic)) return publishToAddress(state, connection, packet, self);
  return conclude(state, connection, packet, accept(broker, packet, self), self);
}

/** Takes a PUBLISH of QoS 1 or 2 to an address, the outcome of which may be known later. */
function publishToAddress(
  state: SessionState,
  connection: Connection,
  packet: Publish,
  self: Ref<SessionMessage>,
): number {
  let outcome = ACCEPTED;
  let pending: Pending | null = null;
  outcome = accept(state.broker, packet, self, (answer) => {
    outcome = answer;
    if (pending === null) return;
    if (answer.reason >= REFUSED) return self.tell({ kind: 'unsent', pending, outcome });
    if (settle(state, pending, answer)) state.journal?.receive(packet.id);
    tellWhenStored(state, self, pending.ready, packet.retain);
  });
  if (outcome !== PENDING) return conclude(state, connection, packet, outcome, self);
  pending = pend(state, connection, packet);
  return 0;
}

/** Refuses a publication that has been taken. Answers 0, or the reason code with which the connection ends. */
export function refuseLate(
  state: SessionState,
  { pending, outcome }: Extract<SessionMessage, { kind: 'unsent' }>,
): number {
  const { connection, packet } = pending;
  refuse(state.broker.domain, connection, packet, outcome);
  settle(state, pending, outcome);
  if (!mustEnd(pending)) pending.ready();
  else if (connection === state.connection) return REASON.quotaExceeded;
  return 0;
}

/** Answers a publication whose outcome is known. Answers 0, or the reason code with which the connection ends. */
function conclude(
  state: SessionState,
  connection: Connection,
  packet: Publish,
  outcome: Outcome,
  self: Ref<SessionMessage>,
): number {
  const { broker } = state;
  const { qos, retain } = packet;
  if (outcome.reason >= REFUSED) refuse(broker.domain, connection, packet, outcome);
  // 3.1.1 knows only acknowledgements that promise: instead its connection ends, and the client sends again later.
  if ((outcome === DISK_FULL || (outcome === MEMORY_FULL && qos > 0)) && connection.version !== 5)
    return REASON.quotaExceeded;
  if (outcome.reason < REFUSED) keepReceived(state, connection, packet);
  if (qos === 0) return 0;
  if (!isStored(broker, retain)) acknowledgeNow(connection, packet, outcome);
  else
    tellWhenStored(
      state,
      self,
      acknowledgeLater(connection, packet, () => outcome),
      retain,
    );
  return 0;
}

/** Keeps the identifier of a publication of QoS 2 until it is released. */
function keepReceived({ received, journal }: SessionState, connection: Connection, { qos, id }: Publish): void {
  if (qos !== 2) return;
  keep(received, connection, id);
  journal?.receive(id);
}

/** Whether something of a publication may have to be on disk before it is acknowledged. */
function isStored({ journal }: Broker, isRetained: boolean): boolean {
  return journal !== null && (journal.keepsSessions || isRetained);
}

/**
 * Calls `ready` when everything that is to be kept of a publication is on disk, in sessions, as a retained or an offline
 * message; at once where nothing is kept.
 */
function tellWhenStored(
  { broker }: SessionState,
  self: Ref<SessionMessage>,
  ready: () => void,
  isRetained = false,
): void {
  if (isStored(broker, isRetained)) self.tell({ kind: 'accepted', ready, hops: HOPS });
  else ready();
}

/** Passes one mailbox more, or waits for the disk: by then every session that was told of the publication has written it. */
export function accepted(
  { broker }: SessionState,
  { ready, hops }: Extract<SessionMessage, { kind: 'accepted' }>,
  self: Ref<SessionMessage>,
): void {
  const { store } = broker.domain.runtime;
  if (hops > 1) self.tell({ kind: 'accepted', ready, hops: hops - 1 });
  else if (store) store.committed(ready);
  else ready();
}

/** Counts a publication that was refused. A topic that is refused need not be kept for its alias. */
export function refuse(domain: Domain, connection: Connection, packet: Publish, outcome: Outcome): void {
  dropRefused(domain, packet.topic, outcome);
  if (TOPIC_REFUSED.has(outcome.reason)) connection.refuseTopic(packet);
}

/** Takes PUBACK, PUBREC, PUBREL or PUBCOMP. Answers 0, or the reason code with which the connection ends. */
export function acknowledge(
  state: SessionState,
  connection: Connection,
  packet: Ack,
  self: Ref<SessionMessage>,
): number {
  if (packet.cmd !== 'pubrel') return state.outbound.acknowledge(packet, connection) ? 0 : REASON.protocolError;
  if (floods(connection)) return REASON.receiveMaximumExceeded;
  state.journal?.release(packet.id);
  release(state, connection, packet.id, (send) => {
    tellWhenStored(state, self, connection.receipts.add(send));
  });
  return 0;
}
