import { MqttChatClient } from './mqtt.js';
import type { Packet } from './packets.js';
import { PollClient } from './polling.js';
import type { TestServer } from './server.js';
import { WebSocketClient } from './websocket.js';

/** One connected client, whatever carries it. */
export interface ChatClient {
  /** The next packet; fails where no packet comes in time, or can come any more. */
  next(): Promise<Packet>;
  /** Resolves when the server has ended this client, with its last word (`stopped`), or ''. */
  readonly ended: Promise<string>;
  /** Cuts the connection, as a browser that goes away does. */
  close(): void;
}

/** What the chat scenario runs over. `connect` resolves when the server knows of the connection. */
export interface ChatTransport {
  readonly name: string;
  connect(server: TestServer, ticket: string, domain?: string): Promise<ChatClient>;
}

export const webSocket: ChatTransport = {
  name: 'WebSocket',
  connect: (server, ticket, domain) => WebSocketClient.connect(server, ticket, { domain }),
};

export const longPolling: ChatTransport = {
  name: 'long polling',
  connect: (server, ticket, domain) => PollClient.connect(server, ticket, domain),
};

/** The server under test listens where `mqtt.port` is -1. */
export const mqttTcp: ChatTransport = {
  name: 'MQTT',
  connect: (server, ticket, domain) =>
    MqttChatClient.connect(server, `mqtt://127.0.0.1:${server.mqttPort}`, ticket, domain),
};

export const mqttWebSocket: ChatTransport = {
  name: 'MQTT over WebSocket',
  connect: (server, ticket, domain) => MqttChatClient.connect(server, `ws://${server.host}/mqtt`, ticket, domain),
};

export const transports: readonly ChatTransport[] = [webSocket, longPolling, mqttTcp, mqttWebSocket];
