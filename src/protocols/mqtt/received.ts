/**
 * Publications of QoS 1 and 2 that a client has sent: their identifiers, how many it may have in flight, and their
 * acknowledgements. MQTT 5 sections 3.3.4, 3.4 to 3.7 and 4.3.
 */

import type { Connection } from './connection.js';
import { encodeAck } from './encode.js';
import type { Publish } from './packets.js';
import { ACCEPTED, type Outcome, UNKNOWN } from './publish-to-address.js';

/** As many as there are packet identifiers. */
const MAX_IN_FLIGHT = 65_535;
/** Reason codes from here on say that a publication is refused. */
export const REFUSED = 0x80;

/** A publication of QoS 1 or 2 whose outcome is not known yet. */
export interface Pending {
  readonly packet: Publish;
  /** Where it is to be acknowledged: the connection by which its client has sent it last. */
  connection: Connection;
  outcome: Outcome;
  /** Lets the acknowledgement go out, which says the outcome. */
  ready: () => void;
}

/** What a session has received of QoS 2. */
export interface Received {
  /** Identifiers of publications that have been passed on, and are not released yet: they go on with the session. */
  readonly received: Set<number>;
  /**
   * Publications whose outcome is not known yet. They have not been acknowledged, and do not go on with the session: it is not known whether
   * they have been passed on, and they are when their client sends them again.
   */
  readonly pending: Map<number, Pending>;
}

/** Whether a publication of QoS 2 has come before, and is not released yet. */
export function isCopy({ received, pending }: Received, { qos, id }: Publish): boolean {
  return qos === 2 && (received.has(id) || pending.has(id));
}

/**
 * Whether one more publication is more than the client may have in flight [MQTT-3.3.4-7]; 3.1.1 knows no such bound.
 * Publications that wait for the disk only take identifiers: mqtt.js sends on meanwhile, and a slow disk is not its fault.
 */
export function exceeds(
  { version, unacknowledged, unstored, unreleased }: Connection,
  receiveMaximum: number,
): boolean {
  if (unstored + unreleased >= MAX_IN_FLIGHT) return true;
  return version === 5 && unacknowledged + unreleased >= receiveMaximum;
}

/** Whether more acknowledgements wait than there are identifiers: the client says again and again what has not been answered yet. */
export function floods({ receipts }: Connection): boolean {
  return receipts.waiting >= MAX_IN_FLIGHT;
}

/**
 * Gives a publication's acknowledgement its place behind those of the publications before. Answers a function that lets
 * the acknowledgement go out, to be called when what it promises holds.
 */
export function acknowledgeLater(connection: Connection, packet: Publish, outcome: () => Outcome): () => void {
  if (packet.qos === 1) connection.unstored += 1;
  return connection.receipts.add(() => {
    if (packet.qos === 1) connection.unstored -= 1;
    acknowledge(connection, packet, outcome());
  });
}

/** Acknowledges a publication of which nothing waits for the disk and whose outcome is known, after the acknowledgements due before. */
export function acknowledgeNow(connection: Connection, packet: Publish, outcome: Outcome): void {
  if (connection.receipts.waiting > 0) acknowledgeLater(connection, packet, () => outcome)();
  else acknowledge(connection, packet, outcome);
}

/** Gives a publication whose outcome is not known yet its place among the acknowledgements; one of QoS 2 takes its identifier. */
export function pend(session: Received, connection: Connection, packet: Publish): Pending {
  const pending: Pending = { packet, connection, outcome: ACCEPTED, ready: () => undefined };
  if (packet.qos === 2) {
    connection.unreleased += 1;
    session.pending.set(packet.id, pending);
  }
  pending.ready = acknowledgeLater(connection, packet, () => pending.outcome);
  return pending;
}

/**
 * The outcome is known. The identifier of a publication of QoS 2 that is refused is free again [MQTT-4.3.3-9], any other is kept until it is
 * released: answers whether it is.
 */
export function settle(session: Received, pending: Pending, outcome: Outcome): boolean {
  const { connection, packet } = pending;
  pending.outcome = outcome;
  // The session may have begun anew, and its client may use the identifier for another publication.
  if (session.pending.get(packet.id) !== pending) return false;
  if (outcome.reason >= REFUSED) {
    free(session, connection, packet.id);
    return false;
  }
  session.pending.delete(packet.id);
  session.received.add(packet.id);
  return true;
}

/**
 * Whether the connection has to end, since its client is to send the publication again: 3.1.1 knows only acknowledgements that promise.
 */
export function mustEnd({ connection, outcome }: Pending): boolean {
  return outcome === UNKNOWN && connection.version !== 5;
}

/**
 * A QoS 2 publication came again: it is acknowledged, behind the first of its copies, and not handed on [MQTT-4.3.3-10]. Answers what lets
 * the acknowledgement go out, once its promise holds. While the outcome is not known one acknowledgement answers all copies, of which a
 * client may send any number.
 */
export function acknowledgeCopy({ pending: all }: Received, connection: Connection, packet: Publish): () => void {
  const { id } = packet;
  const pending = all.get(id);
  if (!pending) {
    return connection.receipts.add(() => void connection.send(encodeAck(connection.version ?? 4, 'pubrec', id)));
  }
  if (pending.connection !== connection) {
    pending.connection = connection;
    pending.ready = acknowledgeLater(connection, packet, () => pending.outcome);
  }
  return () => undefined;
}

/** Sends PUBACK or PUBREC. 3.1.1 knows no refusal: there a publication that is refused is acknowledged all the same. */
function acknowledge(connection: Connection, { qos, id }: Publish, outcome: Outcome): void {
  const version = connection.version ?? 4;
  const text = connection.requestProblem ? outcome.text : '';
  const said = connection.requestProblem ? outcome.said : undefined;
  if (qos === 1) connection.unacknowledged += 1;
  // [MQTT-4.3.2-4] [MQTT-4.3.3-8]; only a PUBACK says whether there was a subscriber.
  const cmd = qos === 1 ? 'puback' : 'pubrec';
  const reason = qos === 2 && outcome.reason < REFUSED ? 0 : outcome.reason;
  // A reason string and user properties go where the client has room for them [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3].
  const isSent = (text !== '' || said) && connection.send(encodeAck(version, cmd, id, reason, text, said));
  if (!isSent) connection.send(encodeAck(version, cmd, id, reason));
}

/** Keeps a QoS 2 publication's identifier until its PUBREL [MQTT-4.3.3-9]. */
export function keep(received: Set<number>, connection: Connection, id: number): void {
  received.add(id);
  connection.unreleased += 1;
}

/**
 * PUBREL: the identifier is free again [MQTT-4.3.3-11]; one that is not known is free already. Calls `when` with what
 * sends PUBCOMP.
 */
export function release(
  session: Received,
  connection: Connection,
  id: number,
  when: (send: () => void) => void = (send) => send(),
): void {
  free(session, connection, id);
  when(() => connection.send(encodeAck(connection.version ?? 4, 'pubcomp', id)));
}

function free({ received, pending }: Received, connection: Connection, id: number): void {
  received.delete(id);
  pending.delete(id);
  if (connection.unreleased > 0) connection.unreleased -= 1;
}
