/** MQTT 5 reason codes that this server uses, section 2.4, and what they are in the return codes of 3.1 and 3.1.1. */
export const REASON = Object.freeze({
  success: 0x00,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  malformed: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedVersion: 0x84,
  clientIdNotValid: 0x85,
  badCredentials: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  banned: 0x8a,
  shuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  takenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  connectionRateExceeded: 0x9f,
});

/** Close codes of a WebSocket whose client broke the standard of MQTT: RFC 6455 section 7.4.1. */
const BREACH = Object.freeze({ tooLarge: 1009, other: 1002 });

export function webSocketCodeOf(reason: number): number {
  return reason === REASON.packetTooLarge ? BREACH.tooLarge : BREACH.other;
}

/** The code in a SUBACK of 3.1.1 for a filter that is refused. */
export const FAILURE_3 = 0x80;

const RETURN_CODES: ReadonlyMap<number, number> = new Map([
  [REASON.success, 0],
  [REASON.unsupportedVersion, 1],
  [REASON.clientIdNotValid, 2],
  [REASON.serverUnavailable, 3],
  [REASON.quotaExceeded, 3],
  [REASON.connectionRateExceeded, 3],
  [REASON.badCredentials, 4],
  [REASON.notAuthorized, 5],
  [REASON.banned, 5],
]);

/** The CONNACK return code of 3.1 and 3.1.1; null where the connection is closed without one, [MQTT-3.2.2-6]. */
export function returnCode(reason: number): number | null {
  return RETURN_CODES.get(reason) ?? null;
}
