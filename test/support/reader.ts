/**
 * Somebody who follows a documentation page to the letter, in an empty folder and on ports of their own.
 *
 * | block                           | what the reader does                                                      |
 * | ------------------------------- | ------------------------------------------------------------------------- |
 * | `sh`                            | runs it to its end; `json` or `text` right after it is what it prints      |
 * | `sh window=NAME`                | the same in a terminal of that name, and leaves it running                |
 * | `json window=NAME`, `text …`    | looks what that terminal has printed since                                |
 * | `sh` that begins with `npm`     | `npm start -- FLAGS` starts the server; of others the script must exist   |
 * | `… title=FILE`                  | saves it as that file                                                     |
 *
 * `nextalk` is the program. Tickets, times, ids of messages and of processes are nobody's to foresee and count as equal; so
 * do, in a terminal that is left running, frames that carry the same packets together or one after another.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Check } from './check.js';
import { SERVER } from './compiled.js';
import type { Block } from './markdown.js';
import { freePort } from './ports.js';
import { type NexTalkProcess, nextalk } from './process.js';
import { Terminal } from './terminal.js';

/** The ports that pages write. */
const WRITTEN_PORTS = [8080, 1883, 8081, 3000, 3001] as const;

const root = join(import.meta.dirname, '../..');
const tsx = join(root, 'node_modules/tsx/dist/loader.mjs');
const PROGRAM = SERVER.endsWith('.ts') ? ['--import', `file://${tsx}`, SERVER] : [SERVER];

export interface Cleaner extends Check {
  teardown(fn: () => unknown): void;
}

export async function reader(t: Cleaner, folder: string, env: Readonly<Record<string, string>> = {}): Promise<Reader> {
  const ports = new Map<number, number>();
  for (const port of WRITTEN_PORTS) ports.set(port, await freePort());
  return new Reader(t, folder, ports, env);
}

export class Reader {
  #server: NexTalkProcess | null = null;
  readonly #terminals = new Map<string, Terminal>();

  constructor(
    private readonly t: Cleaner,
    readonly folder: string,
    private readonly ports: ReadonlyMap<number, number>,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** The port that a page writes as `written`. */
  port(written: number): number {
    return this.ports.get(written) ?? written;
  }

  async follow(blocks: readonly Block[]): Promise<void> {
    for (const [i, block] of blocks.entries()) {
      const window = block.attributes.get('window');
      const title = block.attributes.get('title');
      const isAnswer = block.language === 'json' || block.language === 'text';
      if (title !== undefined) writeFileSync(join(this.folder, title), `${this.#real(block.text)}\n`);
      else if (isAnswer && window !== undefined) await this.#look(window, block);
      else if (isAnswer)
        this.t.equal(blocks[i - 1]?.language, 'sh', `line ${block.line}: an answer follows its command`);
      else if (block.text.startsWith('npm ')) await this.#npm(block.text);
      else if (block.language === 'sh' && window !== undefined) this.#terminal(window).start(this.#real(block.text));
      else if (block.language === 'sh') await this.#run(block, blocks[i + 1]);
    }
  }

  async #npm(commands: string): Promise<void> {
    for (const command of commands.split(/\n|&&/).map((text) => text.trim())) {
      const [, name, flags] = /^npm (install|start|test|run \S+)(?: -- (.*))?$/.exec(command) ?? [];
      const script = name?.replace('run ', '');
      this.t.ok(name === 'install' || scripts().has(script ?? ''), `package.json knows \`${command}\``);
      if (name === 'start') await this.#serve(flags?.split(' ') ?? []);
    }
  }

  async #serve(flags: readonly string[]): Promise<void> {
    this.#server?.kill('SIGKILL');
    await this.#server?.ended;
    const place = (flag: string, written: number): string[] => [flag, String(this.port(written))];
    const ports = [...place('--port', 8080), ...place('--mqtt-port', 1883), ...place('--admin-port', 8081)];
    const typed = flags.map((flag, i) => (flags[i - 1] === '--config' ? join(this.folder, flag) : this.#real(flag)));
    this.#server = nextalk(this.t, [...ports, ...typed], { env: this.env });
    await this.#server.event('started');
  }

  async #run(block: Block, next: Block | undefined): Promise<void> {
    const { out, code } = await this.#terminal('').run(this.#real(block.text));
    this.t.equal(code, 0, `line ${block.line}: ${block.text.split('\n')[0]}`);
    const isShown = next !== undefined && /^(json|text)$/.test(next.language) && !next.attributes.has('window');
    if (isShown) this.t.strictSame(this.#seen(out, next), masked(next), `line ${next.line}: what it answers`);
    else this.t.equal(out, '', `line ${block.line}: prints nothing where no answer is shown`);
  }

  /** Waits until a terminal has printed as much as the page shows, and compares the two. */
  async #look(window: string, shown: Block): Promise<void> {
    const wanted = masked(shown);
    const found = await this.#terminal(window).take((out) => {
      const length = out.lastIndexOf('\n') + 1;
      const value = this.#seen(out.slice(0, length), shown);
      return size(value) >= size(wanted) ? { length, value } : null;
    });
    this.t.strictSame(found, wanted, `line ${shown.line}: what the terminal ${window} prints`);
  }

  #terminal(name: string): Terminal {
    const known = this.#terminals.get(name);
    if (known) return known;
    const terminal = new Terminal(this.folder, { PATH: `${installProgram(this.folder)}:${process.env.PATH}` });
    this.#terminals.set(name, terminal);
    this.t.teardown(() => terminal.close());
    return terminal;
  }

  /** With this reader's ports in the place of those that the page writes. */
  #real(text: string): string {
    return text.replace(/\b\d{4}\b/g, (digits) => String(this.port(Number(digits))));
  }

  /** What was printed, in the form of `masked`. */
  #seen(out: string, shown: Block): readonly unknown[] {
    const written = new Map([...this.ports].map(([port, real]) => [String(real), String(port)]));
    const text = out.replace(/\b\d{4,5}\b/g, (digits) => written.get(digits) ?? digits);
    return masked({ ...shown, text });
  }
}

/** Installs the command `nextalk` below a folder, and answers what PATH needs to find it. The command runs Node with `args`. */
export function installProgram(into: string, args: readonly string[] = PROGRAM): string {
  const folder = join(into, '.bin');
  mkdirSync(folder, { recursive: true });
  const command = [process.execPath, ...args].map((word) => `"${word}"`).join(' ');
  writeFileSync(join(folder, 'nextalk'), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  return folder;
}

function scripts(): ReadonlySet<string> {
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  return new Set(Object.keys(JSON.parse(text).scripts));
}

/** The lines, or the JSON values, without what no page can foresee. */
function masked({ text, language, attributes }: Block): readonly unknown[] {
  const plain = text
    .replace(/[0-9a-f]{32,}/g, 'TOKEN')
    .replace(/("timestamp":\s*")\d{13}"/g, '$1TIMESTAMP"')
    .replace(/"id":"[0-9A-Z]{26}"/g, '"id":"ID"')
    .replace(/"time":"[^"]*","/g, '"time":"TIME","')
    .replace(/"pid":\d+/g, '"pid":0');
  if (language === 'text') return plain.split('\n').filter((line) => line !== '');
  return attributes.has('window') ? together(jsonValues(plain)) : jsonValues(plain);
}

interface Frame {
  readonly status: string;
  readonly messages: readonly unknown[];
  readonly presences: readonly unknown[];
  readonly statuses: readonly unknown[];
}

function isFrame(value: unknown): value is Frame {
  return typeof value === 'object' && value !== null && 'messages' in value && Array.isArray(value.messages);
}

/** All frames as one in the place of the first: its messages, presences and statuses in their order. */
function together(values: readonly unknown[]): unknown[] {
  const frames = values.filter(isFrame);
  if (frames.length === 0) return [...values];
  const { status } = frames[0] as Frame;
  const one = {
    status,
    messages: frames.flatMap(({ messages }) => messages),
    presences: frames.flatMap(({ presences }) => presences),
    statuses: frames.flatMap(({ statuses }) => statuses),
  };
  return [one, ...values.filter((value) => !isFrame(value))];
}

/** How many values there are, where a frame counts as its packets. */
function size(values: readonly unknown[]): number {
  const packets = values.map((value) =>
    isFrame(value) ? value.messages.length + value.presences.length + value.statuses.length : 1,
  );
  return packets.reduce((sum, count) => sum + count, 0);
}

/** JSON values one after another, with or without spaces between them; what is no such value is answered as its text. */
function jsonValues(text: string): unknown[] {
  const values: unknown[] = [];
  let depth = 0;
  let from = 0;
  let after = 0;
  const keep = (between: string): void => {
    if (between.trim() !== '') values.push(between.trim());
  };
  for (const token of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token[0].startsWith('"')) continue;
    if (/[{[]/.test(token[0])) {
      if (depth === 0) keep(text.slice(after, token.index));
      if (depth === 0) from = token.index;
      depth += 1;
    } else if (--depth === 0) {
      after = token.index + 1;
      values.push(JSON.parse(text.slice(from, after)));
    }
  }
  keep(text.slice(after));
  return values;
}
