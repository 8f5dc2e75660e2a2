/** PUBLISH from a backend, and the acknowledgements of both directions: MQTT 5 sections 3.3 to 3.7 and 4.3. */
import type { Domain } from '../../actors/domain.js';
import type { Ref } from '../../actors/system.js';
import {
  ACCEPTED,
  DISK_FULL,
  dropRefused,
  isAddress,
  MEMORY_FULL,
  noMemory,
  type Outcome,
  pushTo,
  refusal,
} from './addresses.js';
import type { Connection } from './connection.js';
import { encodeAck } from './encode.js';
import type { Ack, Publish, Will } from './packets.js';
import { REASON } from './reason.js';
import type { SessionMessage, SessionState } from './session.js';

const UNHEARD: Outcome = { reason: REASON.noMatchingSubscribers, text: '' };
const REFUSED = 0x80;
/** Steps from a publisher to the session that keeps the publication: by a shared subscription, or an endpoint and a watcher. */
const HOPS = 3;
const TOPIC_REFUSED: ReadonlySet<number> = new Set([REASON.notAuthorized, REASON.topicNameInvalid]);

/** Sections 4.7.2 and 4.8.2: what the server publishes itself, and what is no topic. */
function isReserved(topic: string): boolean {
  return topic.startsWith('$SYS/') || topic.startsWith('$share/');
}

/** Hands a publication to whom it is for. */
function accept(
  state: SessionState,
  what: Pick<Publish, 'topic' | 'payload' | 'qos' | 'retain' | 'properties' | 'expiryS'>,
  publisher: Ref<SessionMessage> | null,
): Outcome {
  const { broker } = state;
  const { topic, payload, qos, retain, properties, expiryS } = what;
  // An empty one takes a retained publication away, which makes room.
  if (payload.length > 0 && broker.domain.shortage) return noMemory(broker.domain);
  if (isAddress(topic)) return pushTo(broker.domain, topic, payload);
  if (isReserved(topic)) return refusal(REASON.notAuthorized);
  const expiresAt = expiryS === null ? Number.POSITIVE_INFINITY : broker.domain.runtime.clock.now() + expiryS * 1000;
  if (broker.isDiskFull(what)) return DISK_FULL;
  // What nobody acknowledges nobody has been promised; an empty one makes room.
  if (qos > 0 && !broker.domain.memory.hasRoom(payload.length)) return noMemory(broker.domain);
  const heard = broker.publish({ topic, payload, qos, retain, properties, expiresAt, publisher });
  return heard === 0 ? UNHEARD : ACCEPTED;
}

/** A will that is due; what it may not do is dropped. */
export function acceptWill(state: SessionState, will: Will): void {
  const outcome = accept(state, will, null);
  if (outcome.reason >= REFUSED) dropRefused(state.broker.domain, will.topic, outcome);
}

/** PUBLISH. Answers 0, or the reason code with which the connection ends. */
export function publishFromClient(
  state: SessionState,
  connection: Connection,
  packet: Publish,
  self: Ref<SessionMessage>,
): number {
  const { broker, received } = state;
  const { qos, id } = packet;
  broker.domain.metrics.mqtt.received += 1;
  if (qos === 2 && received.has(id)) {
    // Its first copy has been handed on: this one is only acknowledged [MQTT-4.3.3-10].
    const again = () => void connection.send(encodeAck(connection.version ?? 4, 'pubrec', id));
    tellWhenStored(state, self, connection.receipts.add(again));
    return 0;
  }
  if (qos > 0 && exceeds(connection, broker.context.config().mqtt.receiveMaximum)) return REASON.receiveMaximumExceeded;
  const outcome = accept(state, packet, self);
  if (outcome.reason >= REFUSED) refuse(broker.domain, connection, packet, outcome);
  // 3.1.1 could only be told that it is kept: the client sends it again when it has connected again.
  if ((outcome === DISK_FULL || (outcome === MEMORY_FULL && qos > 0)) && connection.version !== 5)
    return REASON.quotaExceeded;
  if (qos === 2 && outcome.reason < REFUSED) {
    keep(received, connection, id);
    state.journal?.receive(id);
  }
  if (qos > 0)
    tellWhenStored(
      state,
      self,
      receive(connection, packet, () => outcome),
    );
  return 0;
}

/** Its acknowledgement is the next to go out; call the answer when it may. */
export function receive(connection: Connection, packet: Publish, outcome: () => Outcome): () => void {
  if (packet.qos === 1) connection.unstored += 1;
  return connection.receipts.add(() => {
    if (packet.qos === 1) connection.unstored -= 1;
    receipt(connection, packet, outcome());
  });
}

/**
 * Calls `ready` when all that came of what is to be acknowledged is on disk: in kept sessions, retained and offline messages.
 * Where nothing is kept, at once.
 */
function tellWhenStored({ broker }: SessionState, self: Ref<SessionMessage>, ready: () => void): void {
  if (broker.journal) self.tell({ kind: 'accepted', ready, hops: HOPS });
  else ready();
}

/** Takes a step more, or waits for the disk: every session that was told of the publication has written it by then. */
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

/** Counts a publication that was refused; where it is the topic that is refused, its alias need not stand for it. */
export function refuse(domain: Domain, connection: Connection, packet: Publish, outcome: Outcome): void {
  dropRefused(domain, packet.topic, outcome);
  if (TOPIC_REFUSED.has(outcome.reason)) connection.refuseTopic(packet);
}

/** There are no more packet identifiers. */
const MAX_IN_FLIGHT = 65_535;

/**
 * Whether one more publication is more than the client may have in flight [MQTT-3.3.4-7]; 3.1.1 knows no such bound. Those
 * that wait for the disk count for their identifiers only: mqtt.js sends on, and is not to be ended for the server's pace.
 */
export function exceeds(
  { version, unacknowledged, unstored, unreleased }: Connection,
  receiveMaximum: number,
): boolean {
  if (unstored + unreleased >= MAX_IN_FLIGHT) return true;
  return version === 5 && unacknowledged + unreleased >= receiveMaximum;
}

/** Keeps a QoS 2 publication's identifier until its PUBREL [MQTT-4.3.3-9]. */
export function keep(received: Set<number>, connection: Connection, id: number): void {
  received.add(id);
  connection.unreleased += 1;
}

/** Sends PUBACK or PUBREC; in 3.1.1 what is refused is acknowledged all the same, as it knows no other answer. */
function receipt(connection: Connection, { qos, id }: Publish, outcome: Outcome): void {
  const version = connection.version ?? 4;
  const text = connection.requestProblem ? outcome.text : '';
  if (qos === 1) connection.unacknowledged += 1;
  // [MQTT-4.3.2-4] [MQTT-4.3.3-8]; whether anybody heard it is said at QoS 1 only.
  const cmd = qos === 1 ? 'puback' : 'pubrec';
  const reason = qos === 2 && outcome.reason < REFUSED ? 0 : outcome.reason;
  // A reason string goes where the client has room for it [MQTT-3.4.2-2] [MQTT-3.5.2-2].
  const isSent = text !== '' && connection.send(encodeAck(version, cmd, id, reason, text));
  if (!isSent) connection.send(encodeAck(version, cmd, id, reason));
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. Answers 0, or the reason code with which the connection ends. */
export function acknowledge(
  state: SessionState,
  connection: Connection,
  { cmd, id, reason }: Ack,
  self: Ref<SessionMessage>,
): number {
  const { outbound } = state;
  switch (cmd) {
    case 'puback':
      return outbound.puback(id, connection) ? 0 : REASON.protocolError;
    case 'pubrec':
      return outbound.pubrec(id, reason, connection) ? 0 : REASON.protocolError;
    case 'pubcomp':
      return outbound.pubcomp(id, connection) ? 0 : REASON.protocolError;
    case 'pubrel':
      state.journal?.release(id);
      release(state.received, connection, id, (send) => {
        tellWhenStored(state, self, connection.receipts.add(send));
      });
      return 0;
  }
}

/** PUBREL: the identifier is free again [MQTT-4.3.3-11]. One that is not known is free already. */
export function release(
  received: Set<number>,
  connection: Connection,
  id: number,
  when: (send: () => void) => void = (send) => send(),
): void {
  received.delete(id);
  if (connection.unreleased > 0) connection.unreleased -= 1;
  when(() => connection.send(encodeAck(connection.version ?? 4, 'pubcomp', id)));
}
