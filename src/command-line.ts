/**
 * The command line and the environment: every flag, its environment name, and how both are laid over the file. A value
 * that cannot be right in itself is refused here; the merged whole is judged by config.ts.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import { type Config, loadConfig } from './config.js';
import { type ConfigSchema, configSchema } from './config-schema.js';
import type { DomainCommand } from './domain-command.js';
import { type Flag, type Flags, flags } from './flags.js';
import { packageVersion } from './version.js';

type Environment = Readonly<Record<string, string | undefined>>;
type Plain = Record<string, unknown>;
type Problems = { readonly errors: string[] };

/** What the program was asked to do, the flags as they were typed. */
export interface Invocation {
  readonly command: 'serve' | 'check' | 'doctor' | 'token' | 'domain';
  /** `doctor --json`: whether the report is for programs. */
  readonly json: boolean;
  readonly flags: Flags;
  /** The options of `token`; null for other commands. */
  readonly token: TokenOptions | null;
  /** What `domain` is to do; null for other commands. */
  readonly domain: DomainCommand | null;
}

/** What the token says that is to be printed; lists are separated by commas, as in the API. */
export interface TokenOptions {
  readonly domain: string | undefined;
  readonly sub: string;
  readonly nick?: string;
  readonly buddies?: string;
  readonly rooms?: string;
  /** How long the token is valid, in seconds. */
  readonly ttl: string;
}

const outline = `
Precedence: flag, environment, file, default. Lists in the environment are separated by
commas (NEXTALK_DOMAINS=a.com:k1,b.com:k2), those of NEXTALK_SET by semicolons.`;

/**
 * Reads the arguments. `--help` and `--version` are answered through `print`, mistakes through `complain`, and then there
 * is nothing left but to end with `exitCode`.
 */
export function parseArguments(
  args: readonly string[],
  print: (text: string) => void,
  complain: (text: string) => void,
): Invocation | { readonly exitCode: number } {
  let command: Invocation['command'] = 'serve';
  let json = false;
  let token: Omit<TokenOptions, 'domain'> | null = null;
  let domain: DomainCommand | null = null;
  const program = new Command('nextalk')
    .description('Message server for the web: REST, WebSocket, long polling and MQTT.')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: complain })
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', outline)
    .helpCommand(true);
  for (const flag of flags) program.addOption(option(flag));
  program
    .command('check')
    .description('validate the configuration and exit')
    .action(() => {
      command = 'check';
    });
  program
    .command('doctor')
    .description('look at what the server needs on this machine, and say what to do about it')
    .option('--json', 'as JSON, for programs')
    .action((options: { json?: true }) => {
      command = 'doctor';
      json = options.json === true;
    });
  program
    .command('token')
    .description('print a signed token for trying things: --domain names whose secret signs it')
    .requiredOption('--sub <id>', 'who: a user (jack), visitor (vid:7) or service (sid:help)')
    .option('--nick <name>', 'the name that others read; without it, sub')
    .option('--buddies <ids>', 'whom it hears of, separated by commas')
    .option('--rooms <ids>', 'the rooms it is in, separated by commas')
    .option('--ttl <seconds>', 'how long it holds, at most 86400', '3600')
    .action((options: Omit<TokenOptions, 'domain'>) => {
      command = 'token';
      token = options;
    });
  addDomainCommands(program, (given) => {
    command = 'domain';
    domain = given;
  });
  program.allowExcessArguments().action(() => {
    const [unknown] = program.args;
    const known = program.commands.map((each) => each.name()).join(', ');
    if (unknown !== undefined) program.error(`error: unknown command '${unknown}'; there are ${known}, help`);
  });
  try {
    program.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { exitCode: error.exitCode === 0 ? 0 : 2 };
  }
  return { ...invocation(command, json, program.opts<Flags>(), token), domain };
}

/** `domain add|list|remove|rotate`, each of which hands over what it is to do. */
function addDomainCommands(program: Command, chosen: (command: DomainCommand) => void): void {
  const group = program.command('domain').description('domains at run time, by the admin port of the running server');
  const json = ['--json', 'as JSON, for programs'] as const;
  type Options = { json?: true; settings?: string; drop?: string };
  const choose =
    (action: DomainCommand['action']) =>
    (name: string | undefined, { json, ...options }: Options): void =>
      chosen({ action, name: name ?? '', json: json === true, ...options });
  group
    .command('add')
    .description('serve a further domain; its key and secrets are printed this once')
    .argument('<name>')
    .option(
      '--settings <file>',
      'a JSON file with settings, in the shape of one of the domains of a configuration file',
    )
    .option(...json)
    .action(choose('add'));
  group
    .command('list')
    .description('the domains that are served, those of the file too')
    .argument('[search]', 'a part of their names')
    .option(...json)
    .action(choose('list'));
  group
    .command('remove')
    .description('end a domain with its clients and all that it kept')
    .argument('<name>')
    .option(...json)
    .action(choose('remove'));
  group
    .command('rotate')
    .description('print a further API key; with --drop take one away')
    .argument('<name>')
    .option('--drop <fingerprint>', 'the key to take away')
    .option(...json)
    .action(choose('rotate'));
}

/** Of `token`, `--domain` is a name without a key. */
function invocation(
  command: Invocation['command'],
  json: boolean,
  flags: Flags,
  token: Omit<TokenOptions, 'domain'> | null,
): Omit<Invocation, 'domain'> {
  if (token === null) return { command, json, flags, token };
  const { domain, ...others } = flags;
  return { command, json, flags: others, token: { ...token, domain: domain?.[0] } };
}

function option(flag: Flag): Option {
  const known = flag.path === undefined ? undefined : schemaAt(parsePath(flag.path) ?? [])?.default;
  const result = new Option(flag.usage, `${flag.text} (default: ${flag.byDefault ?? known}, env: ${flag.env})`);
  if (flag.separator === undefined) return result;
  return result.argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]);
}

/**
 * Merges file, environment and flags, and validates the whole. Reads the file anew each time, so a reload is the same
 * call again. `file` is undefined when none was named; `workers` is the number of processes that are to serve.
 */
export function readConfig(
  typed: Flags,
  environment: Environment,
): { readonly config: Config; readonly file: string | undefined; readonly workers: number } | Problems {
  const named = fromEnvironment(environment);
  const file = typed.config ?? named.config;
  const read = file === undefined ? { base: {} } : readFile(file);
  if ('errors' in read) return read;
  const { base } = read;
  const errors = [...overlay(base, named, 'env'), ...overlay(base, typed, 'flag')];
  const workers = countOf(typed.workers ?? named.workers ?? '1');
  const loaded = loadConfig(base, workers);
  if ('errors' in loaded) return { errors: [...errors, ...loaded.errors] };
  return errors.length > 0 ? { errors } : { config: loaded.config, file, workers };
}

function readFile(file: string): { readonly base: Plain } | Problems {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/^\ufeff/, '');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    return { errors: [`${file}: cannot be read (${code})`] };
  }
  try {
    const value: unknown = JSON.parse(text);
    return isPlain(value) ? { base: value } : { errors: [`${file}: must hold one JSON object`] };
  } catch (error) {
    return { errors: [`${file}: is not valid JSON${whereInJson(error, text)}`] };
  }
}

/** Where the parser stopped. Its own message is not shown: it quotes the file, which holds secrets. */
function whereInJson(error: unknown, text: string): string {
  const position = /at position (\d+)/.exec(messageOf(error))?.[1];
  const before = text.slice(0, position === undefined ? firstUnexpected(text) : Number(position)).split('\n');
  return ` (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`;
}

/** The index of the first wrong character, for the errors of JSON.parse that do not say: the prefix that turns wrong. */
function firstUnexpected(text: string): number {
  let [right, wrong] = [0, text.length];
  while (wrong - right > 1) {
    const middle = (right + wrong) >> 1;
    if (isUnexpected(text.slice(0, middle))) wrong = middle;
    else right = middle;
  }
  return right;
}

function isUnexpected(prefix: string): boolean {
  try {
    JSON.parse(prefix);
    return false;
  } catch (error) {
    return /^Unexpected token/.test(messageOf(error));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

/** An empty variable counts as none, as supervisors and Compose files set them. */
function fromEnvironment(environment: Environment): Flags {
  const found: [string, string | string[]][] = [];
  for (const { name, env, separator } of flags) {
    const value = environment[env];
    if (value === undefined || value === '') continue;
    const items = value.split(separator ?? '').map((item) => item.trim());
    found.push([name, separator === undefined ? value : items.filter((item) => item !== '')]);
  }
  return Object.fromEntries(found);
}

/** Lays one source over the file's shape; answers a line for each value that cannot be placed. */
function overlay(base: Plain, values: Flags, source: 'env' | 'flag'): string[] {
  const errors: string[] = [];
  for (const flag of flags) {
    const value = values[flag.name];
    if (value === undefined) continue;
    const label = source === 'env' ? flag.env : (flag.usage.split(' ')[0] ?? flag.name);
    if (flag.name === 'workers') errors.push(...checkWorkers(label, String(value)));
    else if (flag.name === 'domain') errors.push(...placeDomains(base, label, values.domain ?? []));
    else if (flag.name === 'set') for (const item of values.set ?? []) errors.push(...placeItem(base, label, item));
    else if (flag.path !== undefined) {
      errors.push(...place(base, label, flag.path, typeof value === 'string' ? scalar(flag.path, value) : [...value]));
    }
  }
  return errors;
}

const EACH_CORE = 'auto';

function checkWorkers(label: string, value: string): string[] {
  return /^([1-9]\d{0,2}|auto)$/.test(value) ? [] : [`${label}: must be a whole number, 1 to 999, or ${EACH_CORE}`];
}

function countOf(workers: string): number {
  return workers === EACH_CORE ? availableParallelism() : Number(workers);
}

// Domains of a flag take the place of the file's: a flag that added domains could not take one away.
function placeDomains(base: Plain, label: string, items: readonly string[]): string[] {
  const colons = items.map((item) => item.indexOf(':'));
  if (colons.some((colon) => colon < 1)) return [`${label}: must be NAME:APIKEY`];
  base.domains = items.map((item, i) => ({
    domain: item.slice(0, colons[i]),
    apikey: item.slice((colons[i] ?? 0) + 1),
  }));
  return [];
}

function placeItem(base: Plain, label: string, item: string): string[] {
  const equals = item.indexOf('=');
  if (equals < 1) return [`${label}: must be PATH=VALUE`];
  const text = item.slice(equals + 1);
  let value: unknown = text;
  try {
    value = JSON.parse(text);
  } catch {
    // A value that is not JSON is taken as text, so that simple strings need no quotes.
  }
  return place(base, label, item.slice(0, equals), value);
}

/** A flag's text as the number that the schema wants there; left as it is when it is none, for the schema to refuse. */
function scalar(path: string, text: string): string | number {
  const wantsNumber = schemaAt(parsePath(path) ?? [])?.type === 'integer';
  return wantsNumber && /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

type Step = string | number;

/** `domains[0].limits.queuePackets` as its steps; undefined when it is none. */
function parsePath(path: string): Step[] | undefined {
  if (!/^[^.[\]]+(\[\d+\])*(\.[^.[\]]+(\[\d+\])*)*$/.test(path)) return undefined;
  return [...path.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(([text, index]) => (index === undefined ? text : Number(index)));
}

function schemaAt(steps: readonly Step[]): ConfigSchema | undefined {
  let schema: ConfigSchema | undefined = configSchema;
  for (const step of steps) {
    if (schema === undefined) return undefined;
    const { additionalProperties: others, properties, items }: ConfigSchema = schema;
    if (typeof step === 'number') schema = items;
    else if (properties !== undefined && Object.hasOwn(properties, step)) schema = properties[step];
    else schema = typeof others === 'object' ? others : undefined;
  }
  return schema;
}

function place(base: Plain, label: string, path: string, value: unknown): string[] {
  const steps = parsePath(path);
  if (steps === undefined || schemaAt(steps) === undefined) return [`${label}: ${path} is not a known key`];
  let holder: object = base;
  for (const [i, step] of steps.entries()) {
    if (Array.isArray(holder) && Number(step) > holder.length) return [`${label}: ${path} leaves a gap in the list`];
    if (i === steps.length - 1) {
      put(holder, step, value);
      return [];
    }
    const below: unknown = Object.getOwnPropertyDescriptor(holder, step)?.value;
    const fits = typeof steps[i + 1] === 'number' ? Array.isArray(below) : isPlain(below);
    const next: object = fits ? (below as object) : typeof steps[i + 1] === 'number' ? [] : {};
    if (!fits) put(holder, step, next);
    holder = next;
  }
  return [];
}

// Defined, not assigned: a service may be called __proto__.
function put(holder: object, step: Step, value: unknown): void {
  Object.defineProperty(holder, step, { value, writable: true, enumerable: true, configurable: true });
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
