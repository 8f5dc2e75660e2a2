/**
 * `npm run demo`: a message server and the example site together, on loopback. PORT and SITE_PORT choose the ports; the
 * default ones (8080 and 3000) give way to free ones when they are taken.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';
import { startSite } from './site.js';

const domain = 'localhost';
const apikey = 'public';
const tokenSecret = 'development-only-secret-of-localhost';

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

function startNextalk(port: number, data: string) {
  const loaded = loadConfig({
    port,
    data,
    mqtt: { port: 0 },
    admin: { port: 0 },
    domains: [
      {
        domain,
        apikey,
        tokenSecret,
        // Pages send by themselves, as far as the server lets them.
        clientCalls: true,
        clientSend: ['websocket', 'http'],
        clientJoin: ['lobby'],
        // One's own messages are shown in one's other tabs, too.
        carbons: true,
        offline: true,
        history: { messages: 200, days: 30 },
      },
    ],
  });
  if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
  return startServer(loaded.config);
}

async function demo(): Promise<void> {
  // What the demo keeps goes with it.
  const data = mkdtempSync(join(tmpdir(), 'nextalk-demo-'));
  process.on('exit', () => rmSync(data, { recursive: true, force: true }));
  const server = await startOn('PORT', 8080, (port) => startNextalk(port, data));
  const address = `http://127.0.0.1:${server.port}`;
  const site = await startOn('SITE_PORT', 3000, (port) =>
    startSite({ port, server: address, domain, apikey, tokenSecret }),
  );
  console.log(`\n  Message server  ${address}\n  Example site    ${site.url}\n`);
  const other = site.url.replace('127.0.0.1', 'localhost');
  console.log(`  Come in as somebody there, and as somebody else at ${other}, where a browser is another visitor.`);
  console.log('  Ctrl+C ends both.\n');

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
