/**
 * The life of the process: start, reload on SIGHUP, drain on SIGTERM or SIGINT, end. Exit codes: 0 asked to end, 1 could
 * not start, 2 the command line or the configuration is wrong.
 */
import { constants } from 'node:os';
import { readCertificate } from './certificate.js';
import { parseArguments, readConfig } from './command-line.js';
import { type Config, isLoopback } from './config.js';
import { resumeOptimizer, tuneEngine } from './engine.js';
import { answerHangups } from './hangup.js';
import { drainAndExit, startProblem, surviveBugs } from './lifecycle.js';
import { configureLog, flushLog, log, onTerminal, print } from './log.js';
import type { ReloadAnswer } from './protocols/context.js';
import { planReload } from './reload.js';
import { tellServiceManager } from './service-manager.js';
import { packageVersion } from './version.js';

type Environment = Readonly<Record<string, string | undefined>>;

// npm and supervisors signal a whole process group: one Ctrl+C may arrive twice.
const secondSignalMs = 1000;

/** Does what the arguments ask for. Sets the exit code; a server that started goes on until a signal. */
export async function run(args: readonly string[], environment: Environment): Promise<void> {
  hideSecrets(args);
  const invocation = parseArguments(args, print, complain);
  if ('exitCode' in invocation) {
    process.exitCode = invocation.exitCode;
    return;
  }
  const read = readConfig(invocation.flags, environment);
  if (invocation.command === 'doctor') {
    const { examine } = await import('./doctor/doctor.js');
    const { reportOf } = await import('./doctor/finding.js');
    const findings = await examine(read);
    print(invocation.json ? `${JSON.stringify(findings)}\n` : reportOf(findings));
    process.exitCode = findings.some(({ level }) => level === 'failure') ? 1 : 0;
    return;
  }
  const errors = 'errors' in read ? read.errors : certificateErrors(read.config);
  for (const error of errors) complain(`nextalk: ${error}\n`);
  if ('errors' in read || errors.length > 0) {
    process.exitCode = 2;
    return;
  }
  if (invocation.command === 'check') {
    print(`${read.file ?? 'configuration'}: valid, ${count(read.config.domains.length, 'domain')}\n`);
    return;
  }
  if (invocation.token) {
    const { signToken } = await import('./sign-token.js');
    const signed = await signToken(read.config, invocation.token);
    if ('error' in signed) complain(`nextalk: ${signed.error}\n`);
    else print(`${signed.token}\n`);
    process.exitCode = 'error' in signed ? 2 : 0;
    return;
  }
  if (invocation.domain) {
    const { runDomainCommand } = await import('./domain-command.js');
    const { exitCode, out, problems } = await runDomainCommand(read.config.admin, invocation.domain);
    print(out);
    for (const problem of problems) complain(`nextalk: ${problem}\n`);
    process.exitCode = exitCode;
    return;
  }
  // A certificate is a file as well, whoever named it.
  const hasFiles = read.file !== undefined || (read.config.tls !== null && !onTerminal());
  const again: Reread = hasFiles ? () => readConfig(invocation.flags, environment) : undefined;
  await serve(read.config, read.workers, again, (...lines) => tellServiceManager(environment, ...lines));
}

/**
 * Every user of a machine may list the command lines of its processes: passwords and keys in them are hidden from then on.
 * Node writes its title over them.
 */
function hideSecrets(args: readonly string[]): void {
  const shown = args.map((arg, i) => {
    const [flag = '', value] = arg.startsWith('--') ? arg.split(/=(.*)/s) : [args[i - 1], arg];
    if (value === undefined) return arg;
    const start = value === arg ? '' : `${flag}=`;
    if (flag === '--domain') return `${start}${value.replace(/:.*/s, ':***')}`;
    if (flag === '--set') return `${start}${value.replace(/=.*/s, '=***')}`;
    return flag === '--nats' ? `${start}${value.replace(/\/\/.*@/s, '//***@')}` : arg;
  });
  if (shown.some((arg, i) => arg !== args[i])) process.title = ['nextalk', ...shown].join(' ');
}

/** Problems of the certificate files that the configuration names: to `check`, wrong files are a wrong configuration. */
function certificateErrors({ tls }: Config): readonly string[] {
  const read = tls && readCertificate(tls);
  return read && 'problem' in read ? [read.problem] : [];
}

/** Reads the configuration again; undefined for a server without a file. */
type Reread = (() => { readonly config: Config } | { readonly errors: readonly string[] }) | undefined;

/** What serves: one server, or several processes that each are one. */
interface Serving {
  readonly port: number;
  readonly mqttPort: number | null;
  readonly mqttTlsPort: number | null;
  readonly adminPort: number | null;
  reload(config: Config): void;
  /** Reloads where an operator asks for it by the admin port; null: there is nothing to reload. */
  onReload: (() => ReloadAnswer) | null;
  /** Notes that the configuration to be reloaded is wrong: the one in use stays, and the server's condition says so. */
  refuseReload(): void;
  drain(): Promise<void>;
}

// Each loads what it needs: a parent of workers holds no server.
async function start(config: Config, workers: number): Promise<Serving> {
  if (workers === 1) {
    const { startServer } = await import('./server.js');
    resumeOptimizer();
    return startServer(config);
  }
  const { startWorkers } = await import('./workers/supervisor.js');
  resumeOptimizer();
  return startWorkers(config, workers);
}

async function serve(
  config: Config,
  workers: number,
  again: Reread,
  tell: (...lines: readonly string[]) => void,
): Promise<void> {
  const terminal = onTerminal();
  configureLog({ level: 'info', pretty: terminal });
  let server: Serving | undefined;
  const end = endOnSignals(
    () => server,
    () => tell('STOPPING=1'),
  );
  try {
    server = await start(config, workers);
    tuneEngine();
  } catch (error) {
    complain(`nextalk: ${startProblem(error)}\n`);
    await flushLog();
    process.exit(1);
  }
  surviveBugs();
  const words = announce(server, config, workers, terminal);
  if (again !== undefined) {
    const reload = reloader(server, config, again);
    server.onReload = reload;
    answerHangups(reload);
  }
  // Without a file there is nothing to reload, and on a terminal SIGHUP means that the terminal has gone.
  else if (terminal) answerHangups(end);
  else answerHangups(() => log.error({ event: 'reload-refused', errors: ['there is no configuration file'] }));
  tell('READY=1', `STATUS=${words}`);
}

/**
 * Answers what a signal to end does: the first one drains, a second one after a while ends at once. Before there is a
 * server there is nothing to drain.
 */
function endOnSignals(server: () => Serving | undefined, ending: () => void): (signal: NodeJS.Signals) => void {
  let firstMs: number | undefined;
  const end = (signal: NodeJS.Signals): void => {
    const nowMs = performance.now();
    if (firstMs === undefined) {
      firstMs = nowMs;
      log.info({ event: 'draining', signal }, `${signal}: draining`);
      ending();
      void drainAndExit(server() ?? { drain: async () => undefined });
    } else if (nowMs - firstMs >= secondSignalMs) {
      process.exit(128 + constants.signals[signal]);
    }
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  return end;
}

/** Answers what reloads the configuration: on SIGHUP, and where an operator asks for it. */
function reloader(server: Serving, started: Config, again: NonNullable<Reread>): () => ReloadAnswer {
  let current = started;
  return () => {
    const read = again();
    if ('errors' in read) {
      server.refuseReload();
      log.error({ event: 'reload-refused', errors: read.errors }, 'the configuration stays as it was');
      return read;
    }
    const { config, changes, needRestart } = planReload(current, read.config);
    server.reload(config);
    current = config;
    log.info({ event: 'reloaded', changes, needRestart }, changes.length === 0 ? 'nothing changed' : 'reloaded');
    return { changes, needRestart };
  };
}

/** Logs that the server has started; answers that in words. */
function announce(server: Serving, config: Config, workers: number, terminal: boolean): string {
  const secure = config.tls === null ? '' : 's';
  const at = (host: string, port: number): string => `${reachable(host)}:${port}`;
  const url = `http${secure}://${at(config.host, server.port)}`;
  const words = `NexTalk serves ${count(config.domains.length, 'domain')} on ${url}`;
  log.info(
    {
      event: 'started',
      version: packageVersion(),
      pid: process.pid,
      url,
      websocket: `ws${secure}://${at(config.host, server.port)}/v5/wsocket`,
      mqtt: server.mqttPort === null ? null : `tcp://${at(config.host, server.mqttPort)}`,
      mqtts: server.mqttTlsPort === null ? null : `mqtts://${at(config.host, server.mqttTlsPort)}`,
      admin: server.adminPort === null ? null : `http://${at(config.admin.host, server.adminPort)}`,
      domains: config.domains.length,
      workers,
    },
    words,
  );
  const { cluster, data } = config;
  if (workers > 1 || cluster.nats.length > 0) {
    log.info({ event: 'keeps', store: cluster.store, data }, whatIsKept(config, workers > 1 ? 'worker' : 'node'));
  }
  if (terminal) void flushLog().then(() => print(hint(url, config)));
  return words;
}

/** What a cluster keeps, and what it does not, in a sentence. */
function whatIsKept({ cluster: { nats, store }, data }: Config, one: 'worker' | 'node'): string {
  const isOwn = nats.length === 0;
  if (store === 'none') {
    const how = isOwn ? '--data DIR' : '--set cluster.store=jetstream';
    return `nothing is kept: a ${one} that is killed takes its clients' tickets and messages with it (${how} keeps them)`;
  }
  const what = 'tickets, presence, what waits for clients and all else that must survive';
  if (!isOwn)
    return `${what} are kept in the JetStream of cluster.nats: a ${one} that ends costs its clients a reconnect`;
  const rest = data === 'none' ? 'nothing outlives the server (--data DIR keeps it)' : 'a restart goes on from there';
  const where = data === 'none' ? 'a temporary folder' : data;
  return `${what} are kept in ${where}: a worker that ends costs its clients a reconnect, ${rest}`;
}

/** A first command to try. The key is shown only when it is the one everybody knows. */
function hint(url: string, config: Config): string {
  const [first] = config.domains;
  const isBuiltIn = first?.domain === 'localhost' && first.apikey === 'public' && isLoopback(config.host);
  const who = isBuiltIn ? 'localhost:public' : `${first?.domain}:APIKEY`;
  return `\n  Try: curl -u ${who} -d 'name=jack&nick=Jack' ${url}/v5/presences/online\n  Ctrl+C ends the server.\n\n`;
}

/** A host as it can be put into a URL; the wildcard addresses can be listened on but not called. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function complain(text: string): void {
  process.stderr.write(text);
}
