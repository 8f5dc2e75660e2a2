/** How each server is found, started on its core, and ended. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { apikey, domain } from './clients/nextalk.js';
import { processTree } from './meter.js';
import type { Scenario, TargetName } from './scenario.js';
import { tethered } from './tether.js';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const nchanModule = '/usr/lib/nginx/modules/ngx_nchan_module.so';
const startLimitMs = 15_000;

/** The programs (main.js) of our own builds: the one under test, and an older one to compare with in the same run. */
export interface Builds {
  readonly own: string;
  readonly before: string | undefined;
}

/** Where `npm run build` puts the server: it is what users run, so it is what is measured. */
export const builtProgram = join(root, 'dist', 'main.js');

export interface Server {
  readonly port: number;
  readonly mqttPort: number;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** Why a target cannot run here, or undefined when it can. */
export function missing(name: TargetName, builds: Builds): string | undefined {
  if (name === 'before') return builds.before === undefined ? '' : absent(builds.before, 'the older build');
  if (name === 'nextalk' || name === 'data' || name === 'history') return absent(builds.own, 'the build');
  if (name === 'mosquitto') return onPath('mosquitto') ? undefined : 'mosquitto is not installed';
  if (name === 'nchan') {
    if (!onPath('nginx')) return 'nginx is not installed';
    return absent(nchanModule, 'libnginx-mod-nchan');
  }
  return undefined;
}

const absent = (path: string, why: string): string | undefined =>
  existsSync(path) ? undefined : `${path} is missing (${why})`;

const onPath = (program: string): boolean => spawnSync('which', [program]).status === 0;

/** Name and version of a target, for the head of the table. */
export function describe(name: TargetName): string {
  const npm = (id: string): string => {
    const entry = createRequire(import.meta.url).resolve(id);
    const folder = entry.slice(0, entry.lastIndexOf(join('node_modules', id)) + join('node_modules', id).length);
    return String((JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: unknown }).version);
  };
  const said = (program: string, flag: string, pattern: RegExp): string => {
    const { stdout, stderr } = spawnSync(program, [flag], { encoding: 'utf8' });
    return pattern.exec(`${stdout}${stderr}`)?.[1] ?? '?';
  };
  switch (name) {
    case 'nextalk':
    case 'before':
      return name;
    case 'data':
      return 'nextalk with a data folder';
    case 'history':
      return 'nextalk with a data folder and a history';
    case 'uws':
      return `bare uWebSockets.js ${npm('uws-node20').split('-')[0]}`;
    case 'ws':
      return `ws ${npm('ws')} on node:http`;
    case 'socketio':
      return `Socket.IO ${npm('socket.io')}`;
    case 'aedes':
      return `aedes ${npm('aedes')}`;
    case 'mosquitto':
      return `mosquitto ${said('mosquitto', '-h', /version (\S+)/)}`;
    case 'nchan':
      return `nginx ${said('nginx', '-v', /nginx\/(\S+)/)} with nchan`;
    case 'none':
      return 'no server';
  }
}

/** Puts a command on one core where there are at least two. */
export function onCore(core: number, command: readonly string[]): string[] {
  return availableParallelism() > 1 && onPath('taskset') ? ['taskset', '-c', String(core), ...command] : [...command];
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

export interface Ports {
  readonly port: number;
  readonly mqttPort: number;
}

/** Starts a target and resolves when it takes connections. */
export async function startServer(
  name: TargetName,
  scenario: Scenario,
  builds: Builds,
  ports?: Ports,
): Promise<Server> {
  const { port, mqttPort } = ports ?? { port: await freePort(), mqttPort: await freePort() };
  if (name === 'none') return { port, mqttPort, pids: [], stop: async () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-bench-'));
  const log = join(folder, 'log');
  const [program, ...flags] = onCore(0, commandOf(name, scenario, builds, { port, mqttPort }, folder));
  if (program === undefined) throw new Error(`no command for ${name}`);
  const output = openSync(log, 'a');
  const child = spawn(...tethered(program, ...flags), { stdio: ['ignore', output, output] });
  const server = await untilListening(child, name === 'aedes' || name === 'mosquitto' ? mqttPort : port, log);
  return {
    port,
    mqttPort,
    pids: server,
    stop: async () => {
      await end(child, server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function commandOf(
  name: TargetName,
  scenario: Scenario,
  builds: Builds,
  ports: Ports,
  folder: string,
): readonly string[] {
  const collect = scenario.collects ? ['--expose-gc', '--import', join(here, 'peers', 'collect.mjs')] : [];
  const node = [process.execPath, ...collect];
  const pair = scenario.tls ? makeCertificate(folder) : undefined;
  switch (name) {
    case 'nextalk':
      return [...node, builds.own, ...ownFlags(ports, pair), ...(scenario.flags ?? [])];
    case 'before':
      return [...node, builds.before ?? '', ...ownFlags(ports, pair), ...(scenario.flags ?? [])];
    case 'data':
    case 'history':
      return [...node, builds.own, ...keepingFlags(ports, folder, name), ...(scenario.flags ?? [])];
    case 'mosquitto':
      return ['mosquitto', '-c', mosquittoConfig(folder, ports.mqttPort)];
    case 'nchan':
      return ['nginx', '-p', folder, '-e', 'stderr', '-c', nginxConfig(folder, ports.port, pair)];
    case 'aedes':
      return [...node, '--import', 'tsx', join(here, 'peers', 'aedes.ts'), String(ports.mqttPort)];
    default:
      return [
        ...node,
        '--import',
        'tsx',
        join(here, 'peers', `${name}.ts`),
        String(ports.port),
        ...(pair ? [pair.cert, pair.key] : []),
      ];
  }
}

/** Idle times are long, because setting thousands of users up takes longer than a page takes to connect. */
function ownFlags({ port, mqttPort }: Ports, pair: KeyPair | undefined): string[] {
  return [
    ...['--port', String(port), '--mqtt-port', String(mqttPort), '--admin-port', '0', '--data', 'none'],
    ...['--domain', `${domain}:${apikey}`, '--set', 'presence.clientIdleMs=600000'],
    ...(pair ? ['--set', `tls.cert=${pair.cert}`, '--set', `tls.key=${pair.key}`] : []),
  ];
}

/** The same server with a data folder on this machine's disk; the history is as large as it can be configured. */
function keepingFlags(ports: Ports, folder: string, name: 'data' | 'history'): string[] {
  const config = join(folder, 'nextalk.json');
  const history = name === 'history' ? { messages: 1000, days: 30 } : null;
  writeFileSync(config, JSON.stringify({ domains: [{ domain, apikey, history }] }));
  const flags = ownFlags(ports, undefined).filter((flag) => flag !== '--domain' && flag !== `${domain}:${apikey}`);
  return [...flags, '--data', join(folder, 'data'), '--config', config];
}

interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A certificate for a day, signed by itself. */
function makeCertificate(folder: string): KeyPair {
  const pair = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost'];
  const made = spawnSync('openssl', ['req', '-x509', '-days', '1', ...kind, '-out', pair.cert, '-keyout', pair.key]);
  if (made.status !== 0) throw new Error(`openssl made no certificate: ${made.stderr}`);
  return pair;
}

function mosquittoConfig(folder: string, port: number): string {
  const path = join(folder, 'mosquitto.conf');
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence false',
    'max_queued_messages 0',
    'set_tcp_nodelay true',
    'log_type error',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

function nginxConfig(folder: string, port: number, pair: KeyPair | undefined): string {
  const path = join(folder, 'nginx.conf');
  writeFileSync(
    path,
    `load_module ${nchanModule};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/pid;
error_log stderr error;
events { worker_connections 19000; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  tcp_nodelay on;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  nchan_shared_memory_size 256m;
  server {
    listen 127.0.0.1:${port} backlog=4096${pair ? ' ssl' : ''};
    ${pair ? `ssl_certificate ${pair.cert}; ssl_certificate_key ${pair.key};` : ''}
    location ~ ^/pub/(\\w+)$ {
      nchan_publisher; nchan_channel_id $1; nchan_message_buffer_length 64; nchan_message_timeout 30s;
    }
    location ~ ^/ws/(\\w+)$ { nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest; }
    location ~ ^/poll/(\\w+)$ {
      nchan_subscriber longpoll; nchan_channel_id $1; nchan_subscriber_first_message newest;
      nchan_subscriber_timeout 25s;
    }
  }
}
`,
  );
  return path;
}

async function untilListening(child: ChildProcess, port: number, log: string): Promise<number[]> {
  const deadline = performance.now() + startLimitMs;
  while (performance.now() < deadline && child.exitCode === null) {
    if (await accepts(port)) {
      await sleep(100);
      return processTree(child.pid ?? 0);
    }
    await sleep(50);
  }
  child.kill('SIGKILL');
  throw new Error(`${child.spawnargs.join(' ')} did not listen on ${port}: ${readFileSync(log, 'utf8').slice(-2000)}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Ends a server and what it started, by process id. Graceful endings are not what is measured. */
async function end(child: ChildProcess, pids: readonly number[]): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself in the meantime.
    }
  }
  await exited;
}
