/**
 * The folder of durable state: it belongs to one server at a time, and what is in it is looked at before it is trusted.
 * Each problem is an Error whose message is made for the operator.
 */
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { log } from '../log.js';
import { TABLES } from './store.js';

/** Folders of this process, which the file of another server's process id cannot tell apart. */
const own = new Set<string>();

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

/** When a process was started, in the kernel's own measure: its id may be another process's by now. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The fields after the name, which is in parentheses and may hold spaces; the 22nd of all is the start.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** What a folder's process has written of itself; empty where it has written nothing, or not yet. */
function markOf(folder: string): string {
  try {
    return readFileSync(join(folder, 'nextalk.pid'), 'utf8').trim();
  } catch {
    return '';
  }
}

/** The process that holds the folder; null for nobody, or one that has ended without letting go. */
function holderOf(folder: string): number | null {
  const [word, start = ''] = markOf(folder).split(' ');
  const pid = Number(word);
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid || !isAlive(pid)) return null;
  return start === startOf(pid) ? pid : null;
}

/** Whether a running process holds the folder; false where its process has ended without letting go, or nobody has ever held it. */
function isHeld(folder: string): boolean {
  return own.has(resolve(folder)) || holderOf(folder) !== null;
}

/** A folder whose process has not written its id for this long is not being made any more: that process was killed. */
const MAKING_MS = 10 * 60_000;

function isLeft(folder: string): boolean {
  // Read first: a process that writes its id meanwhile holds the folder when that is looked at.
  const mark = markOf(folder);
  if (isHeld(folder)) return false;
  return mark !== '' || Date.now() - statSync(folder).mtimeMs > MAKING_MS;
}

/** Removes the folders in `parent` whose names begin with `prefix` and whose process was killed: nobody reads them any more. */
export function removeLeft(parent: string, prefix: string): void {
  for (const name of namesIn(parent).filter((name) => name.startsWith(prefix))) {
    const folder = join(parent, name);
    try {
      if (!isLeft(folder)) continue;
      rmSync(folder, { recursive: true, force: true });
      log.info({ event: 'left folder removed', folder }, 'a process that was killed had left its folder');
    } catch (err) {
      // One of another user's, which stays, keeps no other one.
      log.warn({ event: 'left folder not removed', folder, err }, 'what a killed process has left stays');
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Access of anybody but the owner. */
const OTHERS = 0o077;
/** What a folder holds that is the server's own. */
const OWN_FILES: readonly string[] = ['data.mdb', 'lock.mdb', 'nextalk.pid', 'nextalk.whole'];

/**
 * Whether others than its owner may look into the folder, and what the server does about it: `close` takes the access
 * away; `refuse` leaves it, since the folder holds what is not the server's, or is another user's. null: nobody may.
 */
export function accessOfOthers(folder: string): 'close' | 'refuse' | null {
  if (process.platform === 'win32') return null;
  const { mode, uid } = statSync(folder);
  if ((mode & OTHERS) === 0) return null;
  const isOwner = uid === process.geteuid?.();
  const names = readdirSync(folder);
  const isOurs = names.length === 0 || names.some((name) => OWN_FILES.includes(name));
  return isOwner && isOurs ? 'close' : 'refuse';
}

/** Messages of users are in it: a folder that was there already may be open to everybody. */
function closeToOthers(folder: string): void {
  const access = accessOfOthers(folder);
  if (access === 'close') chmodSync(folder, 0o700);
  if (access !== 'refuse') return;
  const why = 'other users of this machine may read it, and it is not the server’s alone';
  throw new Error(`data: ${folder}: ${why}: name a folder of its own with --data DIR, or chmod 700 ${folder}`);
}

/** Says what a server of the other kind has kept in the folder: one on its own in `data.mdb`, one with workers in `jetstream`. */
export function sayUnread(folder: string, other: 'data.mdb' | 'jetstream'): void {
  if (!existsSync(join(folder, other))) return;
  const who = other === 'jetstream' ? 'a server with workers' : 'a server without workers';
  log.warn({ event: 'data not read', folder, other }, `what ${who} has kept in ${folder} is not read by this one`);
}

/** Makes the folder and takes it; answers how to let it go. */
export function takeFolder(folder: string): () => void {
  const path = resolve(folder);
  const file = join(path, 'nextalk.pid');
  const inUse = (holder: number): Error => new Error(`data: ${folder} is in use by process ${holder}`);
  if (own.has(path)) throw inUse(process.pid);
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    closeToOthers(path);
    const holder = holderOf(path);
    if (holder !== null) throw inUse(holder);
    rmSync(file, { force: true });
    writeFileSync(file, `${process.pid} ${startOf(process.pid)}\n`, { flag: 'wx' });
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('data: ')) throw error;
    const why = `cannot be written (${codeOf(error)})`;
    throw new Error(`data: ${folder} ${why}: name a folder with --data DIR, or keep nothing with --data none`);
  }
  own.add(path);
  return () => {
    own.delete(path);
    rmSync(file, { force: true });
  };
}

/** The file's inode, size and time of change as one text, which every write to the file changes. */
function stateOf(file: string): string {
  const { ino, size, mtimeNs } = statSync(file, { bigint: true });
  return `${ino} ${size} ${mtimeNs}\n`;
}

/** Notes that the data file is whole in its present state: the server has ended in order, and all its writes are on disk. */
export function markWhole(folder: string): void {
  const file = join(folder, 'data.mdb');
  try {
    if (existsSync(file)) writeFileSync(join(folder, 'nextalk.whole'), stateOf(file), { mode: 0o600 });
  } catch (err) {
    log.warn({ event: 'data not marked', folder, err }, 'the next start looks through the data folder');
  }
}

/**
 * Whether nobody has written to the data file since `markWhole`. Removes the mark: should reading the file crash the server,
 * its next start examines the file.
 */
function isWhole(folder: string, file: string): boolean {
  const mark = join(folder, 'nextalk.whole');
  if (!existsSync(mark)) return false;
  const isSame = readFileSync(mark, 'utf8') === stateOf(file);
  rmSync(mark);
  return isSame;
}

/**
 * Reads the bytes of every record of every table, to its end; a table that was never written is not there. What cannot be decoded of them
 * costs its record alone (readable.ts).
 */
const PROBE = `
import { open } from ${JSON.stringify(import.meta.resolve('lmdb'))};
const [, path, tables] = process.argv;
const root = open({ path, maxDbs: 32, noSubdir: false, readOnly: true });
for (const name of tables.split(',')) {
  try {
    for (const _ of root.openDB(name, { encoding: 'binary' }).getRange({}));
  } catch (error) {
    if (!/MDB_NOTFOUND/.test(String(error))) throw error;
  }
}`;

/**
 * Reads all that the folder holds in a process of its own: on a damaged file the native library ends the process that
 * opens it, without a word. A damaged file is set aside, so that the next start begins with an empty one. Skipped where the
 * last server on the folder has ended in order.
 */
export function probeFolder(folder: string): void {
  const file = join(folder, 'data.mdb');
  if (!existsSync(file)) return;
  // An empty file was made and never written: its server was killed at its first start.
  if (statSync(file).size === 0) return rmSync(file);
  for (const path of [file, join(folder, 'lock.mdb')]) if (existsSync(path)) mustBeWritable(path);
  if (isWhole(folder, file)) return;
  // The file is set aside only when two processes fail to read it: one may fail for reasons of its own.
  const damage = probe(folder) && probe(folder);
  if (!damage) return;
  const aside = `${file}.damaged-${new Date().toISOString().replace(/[:.]/g, '-')}`;
  renameSync(file, aside);
  rmSync(join(folder, 'lock.mdb'), { force: true });
  throw new Error(
    `data: ${file} is damaged (${damage}) and was set aside as ${aside}: restore a copy, or start again without its contents`,
  );
}

function mustBeWritable(path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new Error(`data: ${path} cannot be written (${codeOf(error)}): make it the user's that runs the server`);
  }
}

/** What is wrong with a folder's file; null: nothing. */
function probe(folder: string): string | null {
  const args = ['--input-type=module', '--eval', PROBE, folder, TABLES.join(',')];
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { status, signal, stderr, error } = spawnSync(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env,
    encoding: 'utf8',
  });
  if (status === 0) return null;
  // The file is not at fault where no process could be started, or where somebody ended it.
  if (error || signal === 'SIGKILL' || signal === 'SIGTERM') {
    throw new Error(`data: ${folder} could not be examined (${error?.message ?? signal}): start again`);
  }
  const said = /^\w*Error.*$/m.exec(stderr)?.[0] ?? '';
  return `${signal ?? `code ${status}`}${said === '' ? '' : `, ${said.slice(0, 200)}`}`;
}
