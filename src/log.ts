/**
 * The log: one line an event, the only user of stdout. JSON for machines, readable on a terminal.
 *
 *     log.info({ event: 'online', domain, endpoint }, 'jack is online')
 *
 * Nothing is redacted here by magic. Callers never pass an API key, a whole ticket (see ticketTag) or a message body.
 * Take no child loggers while modules load: a child keeps the level of its birth, which is silence.
 */
import { write } from 'node:fs';
import { createRequire } from 'node:module';
import pino, { type Logger } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

const stdout = 1;

// What a reader of stdout that stalls may make the process hold; lines beyond it are lost and counted.
const waitingBytes = 8 * 1024 * 1024;

let format: ((line: string) => string) | undefined;
let fields: Readonly<Record<string, string>> = {};
let waiting: Buffer[] = [];
let waitingLength = 0;
let writing = false;
let closed = false;
let lost = 0;
const whenFlushed: (() => void)[] = [];

/** Silent until configureLog is called, so tests are silent without doing anything. */
export const log: Logger = pino(
  {
    level: 'silent',
    base: undefined,
    mixin: () => ({ ...fields }),
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  },
  { write: (line: string) => enqueue(format === undefined ? line : format(line)) },
);

/** Loads pino-pretty only when a terminal shows the log: a server that runs as a service never needs it. */
function loadPretty(): typeof import('pino-pretty').prettyFactory {
  return createRequire(import.meta.url)('pino-pretty').prettyFactory;
}

/** Starts the log. `pretty` is for a terminal; without it each event is one line of JSON. `fields` go with each event. */
export function configureLog(options: {
  readonly level: LogLevel;
  readonly pretty: boolean;
  readonly fields?: Readonly<Record<string, string>>;
}): void {
  fields = options.fields ?? {};
  format = options.pretty
    ? loadPretty()({ colorize: true, translateTime: 'SYS:HH:MM:ss', ignore: 'event', singleLine: true })
    : undefined;
  log.level = options.level;
}

// Not pino's own destination: written to in sync mode a supervisor that stops reading its pipe stops the server, and
// in async mode its flush at exit never returns once the reader has gone (sonic-boom 4 retries EPIPE for ever).
function enqueue(line: string): void {
  const bytes = Buffer.from(line);
  if (closed || waitingLength + bytes.length > waitingBytes) {
    lost += 1;
    return;
  }
  waiting.push(bytes);
  waitingLength += bytes.length;
  if (!writing) writeNext(Buffer.alloc(0));
}

/** Writes what is left of an unfinished write, or else all that waits. */
function writeNext(rest: Buffer): void {
  const chunk = rest.length > 0 ? rest : Buffer.concat(waiting);
  if (rest.length === 0) {
    waiting = [];
    waitingLength = 0;
  }
  writing = chunk.length > 0;
  if (!writing) {
    for (const resolve of whenFlushed.splice(0)) resolve();
    return;
  }
  write(stdout, chunk, (error, written) => {
    if (error === null) writeNext(chunk.subarray(written));
    else if (error.code === 'EAGAIN') setTimeout(writeNext, 20, chunk);
    else close();
  });
}

/** Closes the log because its reader has gone; the server goes on without one. */
function close(): void {
  closed = true;
  waiting = [];
  writeNext(Buffer.alloc(0));
}

/** Writes a line that another process of this server has logged, as JSON and without a newline. */
export function relayLine(line: string): void {
  enqueue(format === undefined || !line.startsWith('{') ? `${line}\n` : format(line));
}

/** Lines lost because nobody read stdout. */
export function lostLines(): number {
  return lost;
}

/** Resolves when what was logged is written, or after a second if nobody reads. To be awaited before process.exit. */
export async function flushLog(): Promise<void> {
  if (!writing) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, 1000);
    whenFlushed.push(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Whether somebody watches stdout, who is better served by prose than by JSON. */
export function onTerminal(): boolean {
  return process.stdout.isTTY === true;
}

/** Writes plain text to stdout: what a command answers (`--help`, `--version`, `check`), never an event. */
export function print(text: string): void {
  // The reader may close the pipe early: `nextalk --help | head -3`.
  process.stdout.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.stdout.write(text);
}

/**
 * What may be logged of a ticket: node, id and the first six digits of the token, `uid:demo:0df37e…`. Takes anything a
 * client may send; what is no ticket becomes `malformed`.
 */
export function ticketTag(ticket: string): string {
  const first = ticket.indexOf(':');
  const last = ticket.lastIndexOf(':');
  if (first <= 0 || last === first) return 'malformed';
  return `${ticket.slice(0, Math.min(last, 300))}:${ticket.slice(last + 1, last + 7)}…`;
}
