/**
 * `npm run demo`: a message server and the example site together, on loopback. PORT and SITE_PORT choose the ports; the
 * default ones (8080 and 3000) give way to free ones when they are taken.
 */
import { loadConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';
import { startSite } from './site.js';

const domain = 'localhost';
const apikey = 'public';

function wantedPort(name: string, normal: number): { port: number; chosen: boolean } {
  const text = process.env[name];
  if (text === undefined || text === '') return { port: normal, chosen: false };
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`${name}: must be a port, not ${text}`);
  return { port, chosen: true };
}

/** Starts on the wanted port, or on a free one when nobody insisted on it. */
async function startOn<T>(name: string, normal: number, start: (port: number) => Promise<T>): Promise<T> {
  const { port, chosen } = wantedPort(name, normal);
  try {
    return await start(port);
  } catch (error) {
    if (chosen) throw error;
    return start(0);
  }
}

function startNextalk(port: number) {
  const loaded = loadConfig({
    port,
    data: 'none',
    mqtt: { port: 0 },
    admin: { port: 0 },
    // Carbons show one's own messages in one's other tabs, too.
    domains: [{ domain, apikey, carbons: true }],
  });
  if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
  return startServer(loaded.config);
}

async function demo(): Promise<void> {
  const server = await startOn('PORT', 8080, startNextalk);
  const address = `http://127.0.0.1:${server.port}`;
  const site = await startOn('SITE_PORT', 3000, (port) => startSite({ port, server: address, domain, apikey }));
  console.log(`\n  Message server  ${address}\n  Example site    ${site.url}\n`);
  console.log('  Open the example site in two windows and come in under two names. Ctrl+C ends both.\n');

  let stopping = false;
  async function stop(): Promise<void> {
    // npm and the terminal both pass the signal on.
    if (stopping) return;
    stopping = true;
    await site.close();
    await server.close();
    process.exit(0);
  }
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

demo().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
