import type { Cleaner } from '../../support/server.js';
import { SteadyClock } from '../../support/steady-clock.js';
import type { Address } from './raw-connection.js';

export interface Broker {
  readonly address: Address;
  /** `MQTT_BROKER` names another broker than this project's. */
  readonly foreign: boolean;
  readonly webSocket: string;
}

/**
 * The broker under test: this project's server on free ports, with an anonymous domain; or the one that `MQTT_BROKER`
 * names as host:port, and `MQTT_WEBSOCKET` as a ws:// URL.
 */
export async function startBroker(t: Cleaner): Promise<Broker> {
  const foreign = process.env.MQTT_BROKER;
  if (foreign) {
    const [host = '127.0.0.1', port = '1883'] = foreign.split(':');
    const webSocket = process.env.MQTT_WEBSOCKET ?? '';
    return { address: { host, port: Number(port) }, foreign: true, webSocket };
  }
  const { loadConfig } = await import('../../../src/config.js');
  const { startServer } = await import('../../../src/server.js');
  const loaded = loadConfig({
    host: '127.0.0.1',
    port: 0,
    admin: { port: 0 },
    data: 'none',
    domains: [{ domain: 'localhost', apikey: 'public' }],
    mqtt: { port: -1, anonymousDomain: 'localhost', maxKeepAlive: 1000 },
  });
  if ('errors' in loaded) throw new Error(`refused configuration: ${loaded.errors.join('; ')}`);
  const server = await startServer(loaded.config, SteadyClock.start(t));
  t.teardown(() => server.close());
  return {
    address: { host: '127.0.0.1', port: server.mqttPort ?? 0 },
    foreign: false,
    webSocket: `ws://127.0.0.1:${server.port}/mqtt`,
  };
}
