/** CONNECT of a backend: takes over from an earlier connection, resumes or begins the session. MQTT 5 section 3.1. */
import type { Ref } from '../../actors/system.js';
import { CLOSE } from '../../errors.js';
import { lost, resetSession, tellGroups } from './disconnect.js';
import { type ConnackProperties, encodeConnack } from './encode.js';
import { expiryOf } from './expiry.js';
import { goOn } from './replay.js';
import type { ConnectMessage, SessionMessage, SessionState } from './session.js';

const RECEIVE_MAXIMUM = 65_535;

export function connect(state: SessionState, message: ConnectMessage, self: Ref<SessionMessage>): void {
  const { connection, packet, assigned, responseInformation } = message;
  const { broker } = state;
  if (connection.ended) return;
  if (state.connection) {
    const { mqttReason, webSocketCode } = CLOSE.replaced;
    state.connection.disconnect(mqttReason, webSocketCode); // [MQTT-3.1.4-3]
    lost(state, self);
  }
  state.cancelExpiry?.();
  state.cancelExpiry = null;
  if (state.alive && packet.clean) state.alive = false;
  const present = state.alive;
  if (present) {
    state.will.resumed();
  } else {
    resetSession(state);
    state.will.publishPending();
  }
  state.alive = true;
  state.connection = connection;
  state.expiryS = expiryOf(packet);
  state.will.connected(packet.will);
  state.journal?.keep({ clientId: state.clientId, expiryS: state.expiryS, lostAt: null });
  broker.domain.metrics.mqtt.connected += 1;
  const properties = connackOf(
    broker.context.config().mqtt,
    assigned ? state.clientId : null,
    connection.serverKeepAliveS,
    responseInformation,
  );
  if (state.journal) {
    connection.withhold();
    state.journal.changed(() => connection.letOut());
  }
  if (!connection.send(encodeConnack(packet.version, present, properties))) {
    // The CONNACK is larger than the client accepts; without it the client knows nothing of this connection.
    connection.end();
    return lost(state, self);
  }
  tellGroups(state, self, true);
  const { receiveMaximum } = broker.context.config().mqtt;
  state.outbound.connected(connection, Math.min(packet.receiveMaximum, receiveMaximum));
  goOn(state, self);
}

/** The properties of CONNACK in 5.0; 3.1.1 has none. */
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
