/** The ports that workers will share: seen to be free before any worker listens. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Config } from '../config.js';

/**
 * Answers the configuration with a number in place of each "any free port". Rejects with the system's `code` and the
 * `address` where one cannot be had, or somebody listens already: workers share their port with whoever does, and would
 * not notice.
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

/** The port when it is free; for 0, one that is. */
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
