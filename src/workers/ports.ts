/** Finds the ports that the workers will share, and checks that they are free before any worker listens. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Config } from '../config.js';

/**
 * Answers the configuration with a number in place of each "any free port". Rejects with the system's `code` and the
 * `address` where a port cannot be had, or another program listens on it: workers would share the port with that program
 * and not notice.
 */
export async function claimPorts(config: Config): Promise<Config> {
  const { host, port, mqtt } = config;
  const any = 0;
  return Object.freeze({
    ...config,
    port: await freePort(host, port),
    mqtt: Object.freeze({
      ...mqtt,
      port: mqtt.port === 0 ? 0 : await freePort(host, Math.max(mqtt.port, any)),
      tlsPort: mqtt.tlsPort === 0 ? 0 : await freePort(host, Math.max(mqtt.tlsPort, any)),
    }),
  });
}

/** Answers the port where it is free, and any free one for port 0. */
async function freePort(host: string, port: number): Promise<number> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw Object.assign(error as Error, { address: `${host}:${port}` });
  }
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return free;
}
