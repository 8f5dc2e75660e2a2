/** What it takes to try commands of the documentation one by one: terminals, a configuration, questions to the server. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Check } from './check.js';
import { listening } from './nats.js';
import { freePort } from './ports.js';
import type { Program } from './programs.js';
import type { Cleaner } from './server.js';
import type { Terminal } from './terminal.js';

export interface Place {
  readonly t: Check & Cleaner;
  /** An empty folder within the project. */
  readonly folder: string;
  /** A copy of the project, whose build no other test reads; the first command makes it, and the others run it. */
  readonly copy: string;
  /** Opens a terminal in that folder, with `nextalk` installed. */
  window(env?: Readonly<Record<string, string>>): Terminal;
}

/** Commands as they stand on a page, and what shows that they do what it says. */
export interface DocumentedCommand {
  readonly title: string;
  readonly commands: readonly string[];
  readonly needs?: readonly Program[];
  run(place: Place, ...commands: string[]): Promise<void>;
}

export const domain = 'example.com';
export const apikey = 'a-key-of-more-than-sixteen-characters';
export const anyPorts = { NEXTALK_PORT: '0', NEXTALK_MQTT_PORT: '0', NEXTALK_ADMIN_PORT: '0' };

/** Writes a file for the server that only its user may read; answers the file's path. */
export function configure(folder: string): string {
  const file = join(folder, 'nextalk.json');
  writeFileSync(file, JSON.stringify({ domains: [{ domain, apikey }] }));
  chmodSync(file, 0o600);
  return file;
}

/** The log's line that says that the server has started. */
export function started(window: Terminal): Promise<{ readonly url: string; readonly workers: number }> {
  return window.take((out) => {
    const line = /^\{.*"event":"started".*\}$/m.exec(out);
    return line && { length: line.index + line[0].length, value: JSON.parse(line[0]) };
  });
}

export function printed(window: Terminal, pattern: RegExp): Promise<RegExpExecArray> {
  return window.take((out) => {
    const found = pattern.exec(out);
    return found && { length: found.index + found[0].length, value: found };
  });
}

export async function online(url: string, name: string): Promise<unknown> {
  const body = new URLSearchParams({ domain, apikey, name, nick: name });
  return (await fetch(`${url}/v5/presences/online`, { method: 'POST', body })).json();
}

export async function presences(url: string, ids: string): Promise<unknown> {
  return (await fetch(`${url}/v5/presences?${new URLSearchParams({ domain, apikey, ids })}`)).json();
}

/** Runs a command to its end, and wants it to succeed. */
export async function succeed(
  { t, window }: Place,
  command: string,
  env?: Readonly<Record<string, string>>,
): Promise<string> {
  const terminal = window(env);
  const { out, code } = await terminal.run(command);
  t.equal(code, 0, code === 0 ? command : `${command}: ${terminal.err}${out}`);
  return out;
}

/** Starts nats-server as a page has it, on a free port; answers how the page's addresses read on this machine. */
export async function startNats({ window }: Place, command: string): Promise<(command: string) => string> {
  const port = await freePort();
  const here = (text: string): string => text.replace('10.0.0.1', '127.0.0.1').replace('4222', String(port));
  window().start(`${here(command)} --port ${port}`);
  await listening(port);
  return here;
}
