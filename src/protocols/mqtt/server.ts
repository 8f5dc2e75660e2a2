/** Starts MQTT on a server: TCP and TLS as configured, and what the WebSocket path needs. */
import type { Certificate } from '../../certificate.js';
import type { WebSocketBehavior } from '../../uws.js';
import type { ConnectionLimits } from '../connection-limits.js';
import type { Context } from '../context.js';
import { MqttHost } from './host.js';
import { listenTcp, type TcpListener } from './tcp.js';
import { type MqttHolder, webSocketBehaviour } from './websocket.js';

export interface MqttServer {
  /** Null: MQTT over TCP is off. */
  readonly port: number | null;
  readonly tlsPort: number | null;
  /** Connections over TLS that begin from now on are served with this certificate. */
  replaceCertificate(certificate: Certificate): void;
  /** What serves `/mqtt` on the HTTP port. */
  webSocketBehaviour(connectionLimits: ConnectionLimits): WebSocketBehavior<MqttHolder>;
  /** Takes no further connections and ends all others: clients of 5.0 are told 0x8B. */
  drain(): Promise<void>;
  /** For each connection, a function that ends it. */
  farewells(): (() => void)[];
  close(): Promise<void>;
}

/** Starts to listen; without a certificate not for TLS. Rejects with the error of a port that cannot be had. */
export async function startMqtt(context: Context, certificate: Certificate | null): Promise<MqttServer> {
  const config = context.config();
  const { port, tlsPort } = config.mqtt;
  const host = new MqttHost(context);
  const listeners: TcpListener[] = [];
  const listen = async (wanted: number, isSecure: boolean): Promise<number | null> => {
    if (wanted === 0) return null;
    const listener = await listenTcp(host, config.host, wanted, isSecure ? certificate : null);
    listeners.push(listener);
    return listener.port;
  };
  const close = async () => {
    host.close();
    await Promise.all(listeners.map((listener) => listener.close()));
  };
  try {
    const bound = { port: await listen(port, false), tlsPort: await listen(tlsPort, true) };
    return {
      ...bound,
      replaceCertificate(fresh) {
        for (const listener of listeners) listener.replaceCertificate(fresh);
      },
      webSocketBehaviour: (connectionLimits) => webSocketBehaviour(host, connectionLimits),
      farewells: () => host.farewells(),
      async drain() {
        for (const listener of listeners) listener.stop();
        for (const end of host.farewells()) end();
        await settled(host, context);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Resolves when every connection has been told that it ends. */
function settled(host: MqttHost, context: Context): Promise<void> {
  return new Promise((resolve) => {
    const { system } = context.runtime;
    const look = () => {
      if (host.connections.size > 0) return system.wake();
      system.endOfTurn.delete(look);
      resolve();
    };
    system.endOfTurn.add(look);
    system.wake();
  });
}
