import type { Clock } from '../../../src/clock.js';
import { type Packet as Chat, packetsOf } from '../../support/packets.js';
import { siteA, type TestServer, testServer } from '../../support/server.js';
import { Client } from './client.js';
import * as wire from './wire.js';

export interface Credentials extends wire.Connect {
  readonly version?: wire.Version;
  readonly domain?: string;
}

/** A server with an MQTT port, for connections that log in. */
export function mqttServer(t: Parameters<typeof testServer>[0], settings: Record<string, unknown> = {}, clock?: Clock) {
  return testServer(t, { mqtt: { port: -1 }, ...settings }, clock);
}

export function open(server: TestServer, version: wire.Version = 5): Client {
  const client = new Client({ host: '127.0.0.1', port: server.mqttPort }, version);
  server.own({ close: () => client.cut() });
  return client;
}

/** CONNECT with a domain and a ticket or an API key; the CONNACK is the caller's to read. */
export function present(server: TestServer, password: string | undefined, options: Credentials = {}): Client {
  const { version = 5, domain = siteA.domain, ...connect } = options;
  const clientId = connect.clientId ?? `c${Math.random().toString(36).slice(2)}`;
  const login = { clientId, username: domain, ...(password === undefined ? {} : { password }), ...connect };
  return open(server, version).send(wire.connect(version, login));
}

/** CONNECT with a domain and a ticket or an API key, and the CONNACK that accepts it. */
export async function login(server: TestServer, password: string, options: Credentials = {}): Promise<Client> {
  const client = present(server, password, options);
  await client.expect('connack', { codes: [0] });
  return client;
}

export const address = (node: string, id: string, domain = siteA.domain): string => `/domain/${domain}/${node}/${id}`;

/** The one packet of the next frame, which must be a PUBLISH of QoS 1 on this topic; acknowledged. */
export async function framed(client: Client, topic: string): Promise<Chat> {
  const { payload = '' } = await client.receive({ topic, qos: 1, retain: false });
  const packets = packetsOf(JSON.parse(payload));
  if (packets.length !== 1 || !packets[0]) throw new Error(`a frame of ${packets.length} packets: ${payload}`);
  return packets[0];
}
