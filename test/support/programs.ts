/** Programs of the machine that some tests drive; scripts/test-setup.mjs installs them where it can. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Program =
  | 'chromium'
  | 'curl'
  | 'firefox-esr'
  | 'mosquitto'
  | 'mosquitto_pub'
  | 'mosquitto_sub'
  | 'mosquitto_rr'
  | 'nats-server'
  | 'nginx'
  | 'openssl'
  | 'php'
  | 'python3'
  | 'setpriv'
  | 'systemd-analyze'
  | 'systemd-notify';

// Debian keeps servers in /usr/sbin, which is not on everybody's path.
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/sbin', '/usr/local/bin'];

/** What stands for a program where it is installed: Chromium without windows takes a third of the processor time. */
const LIGHTER: Readonly<Partial<Record<Program, string>>> = { chromium: 'chromium-headless-shell' };

/** The path of a program, or undefined where it is not installed. */
export function program(name: Program): string | undefined {
  const lighter = LIGHTER[name];
  return (lighter && find(lighter)) ?? find(name);
}

function find(name: string): string | undefined {
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** For tap: `t.test('…', { skip: skipWithout('chromium') }, …)` skips, with the reason, where a program is missing. */
export function skipWithout(...names: readonly Program[]): string | false {
  const missing = names.filter((name) => program(name) === undefined);
  return missing.length === 0 ? false : `needs ${missing.join(' and ')}`;
}
