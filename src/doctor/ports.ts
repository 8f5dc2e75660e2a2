/** Whether the ports can be listened on; those of a server that runs already are in use by right. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Config } from '../config.js';
import { listenError } from '../listening.js';
import { type Finding, fail, ok } from './finding.js';

const PATIENCE_MS = 2000;

interface Port {
  readonly key: string;
  readonly host: string;
  readonly port: number;
}

function portsOf({ host, port, mqtt, admin }: Config): Port[] {
  const all = [
    { key: 'port', host, port },
    { key: 'mqtt.port', host, port: mqtt.port },
    { key: 'mqtt.tlsPort', host, port: mqtt.tlsPort },
    { key: 'admin.port', host: admin.host, port: admin.port },
  ];
  return all.filter((one) => one.port > 0);
}

/** A NexTalk answers a path that it does not know in its own words. */
function isNexTalk({ host, port, tls }: Config): Promise<boolean> {
  const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
  const options = { host: reachable, port, path: '/v5/doctor', timeout: PATIENCE_MS, rejectUnauthorized: false };
  return new Promise((resolve) => {
    const asking = (tls ? requestHttps : requestHttp)(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text = (text + chunk).slice(0, 1000);
      });
      response.on('end', () => resolve(text === '{"status":"error","message":"not found"}'));
    });
    asking.on('timeout', () => asking.destroy());
    asking.on('error', () => resolve(false));
    asking.end();
  });
}

const ADVICE: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'end the program that has it (ss -ltnp shows which), or choose another'],
  ['EACCES', 'choose one from 1024 on, or let systemd grant it: AmbientCapabilities=CAP_NET_BIND_SERVICE'],
  ['EADDRNOTAVAIL', 'this machine does not have the address: correct host (ip addr shows which there are)'],
]);

export async function portFindings(config: Config): Promise<Finding[]> {
  const tried = await Promise.all(
    portsOf(config).map(async (one) => ({ ...one, code: await listenError(one.host, one.port) })),
  );
  const isRunning = tried.some(({ key, code }) => key === 'port' && code === 'EADDRINUSE') && (await isNexTalk(config));
  return tried.map(({ key, host, port, code }) => {
    const address = `${key} ${host}:${port}`;
    if (code === null) return ok('ports', `${address} is free`);
    if (code === 'EADDRINUSE' && isRunning) return ok('ports', `${address} is in use, and a NexTalk is running`);
    const problem = code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on (${code})`;
    return fail('ports', `${address} ${problem}`, ADVICE.get(code) ?? 'choose another');
  });
}
