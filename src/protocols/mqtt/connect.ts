/** CONNECT of a backend: takes over from an earlier connection, resumes or begins the session. MQTT 5 section 3.1. */
import type { Ref } from '../../actors/system.js';
import { lost, publishWill, resetSession, tellGroups } from './disconnect.js';
import { type ConnackProperties, encodeConnack } from './encode.js';
import type { Connect } from './packets.js';
import { REASON } from './reason.js';
import { goOn } from './replay.js';
import type { ConnectMessage, SessionMessage, SessionState } from './session.js';

const RECEIVE_MAXIMUM = 65_535;

/** Seconds a session outlives its connection; 3.1.1 has only at once and never. */
export function expiryOf({ version, clean, sessionExpiryS }: Connect): number {
  if (version === 5) return sessionExpiryS ?? 0;
  return clean ? 0 : Number.POSITIVE_INFINITY;
}

export function connect(state: SessionState, message: ConnectMessage, self: Ref<SessionMessage>): void {
  const { connection, packet, assigned, responseInformation } = message;
  const { broker } = state;
  if (connection.ended) return;
  if (state.connection) {
    // [MQTT-3.1.4-3]; 4409 is what PROTOCOL.md section 8 has for WebSocket.
    state.connection.disconnect(REASON.takenOver, 4409);
    lost(state, self);
  }
  state.cancelExpiry?.();
  state.cancelExpiry = null;
  if (state.alive && packet.clean) state.alive = false;
  // The session goes on before the delay of its will is over: no will [MQTT-3.1.3-9].
  if (state.alive) state.pendingWill = null;
  else resetSession(state);
  const present = state.alive;
  publishWill(state);
  state.alive = true;
  state.connection = connection;
  state.expiryS = expiryOf(packet);
  state.will = packet.will;
  state.journal?.keep({ clientId: state.clientId, expiryS: state.expiryS, lostAt: null });
  broker.domain.metrics.mqtt.connected += 1;
  const properties = connackOf(
    broker.context.config().mqtt,
    assigned ? state.clientId : null,
    connection.serverKeepAliveS,
    responseInformation,
  );
  if (!connection.send(encodeConnack(packet.version, present, properties))) {
    // Without its CONNACK a client knows nothing of this connection.
    connection.end();
    return lost(state, self);
  }
  tellGroups(state, self, true);
  const { receiveMaximum } = broker.context.config().mqtt;
  state.outbound.connected(connection, Math.min(packet.receiveMaximum, receiveMaximum));
  goOn(state, self);
}

/** What CONNACK of 5.0 says; 3.1.1 has no properties. */
export function connackOf(
  config: { readonly topicAliasMaximum: number; readonly maxPacketBytes: number; readonly receiveMaximum: number },
  clientId: string | null,
  keepAliveS: number | null,
  responseInformation: string | null,
): ConnackProperties {
  const properties: ConnackProperties = {};
  if (keepAliveS !== null) properties.serverKeepAlive = keepAliveS; // [MQTT-3.2.2-21]
  if (config.topicAliasMaximum > 0) properties.topicAliasMaximum = config.topicAliasMaximum;
  if (clientId !== null) properties.assignedClientIdentifier = clientId; // [MQTT-3.2.2-16]
  if (config.maxPacketBytes > 0) properties.maximumPacketSize = config.maxPacketBytes;
  if (config.receiveMaximum < RECEIVE_MAXIMUM) properties.receiveMaximum = config.receiveMaximum;
  if (responseInformation !== null) properties.responseInformation = responseInformation; // [MQTT-3.1.2-28]
  return properties;
}
