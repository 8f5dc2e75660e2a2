/** What the operating system allows, and who may read the server's files. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config.js';
import { accessOfOthers } from '../store/folder.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** Below this a server is small: each connection is an open file. */
const FILES = 65_536;
/** Connections that wait to be accepted when a crowd comes back. */
const BACKLOG = 4096;
const OTHERS_READ = 0o004;

export function limitFindings(): Finding[] {
  return [filesFinding(openFilesLimit()), ...backlogFindings()];
}

/** The limit of open files of a process started from here; Node raises its own to the hard one. null: none or unknown. */
function openFilesLimit(): number | null {
  const report: unknown = process.report.getReport();
  const limits = (report as { userLimits?: { open_files?: { hard?: unknown } } }).userLimits;
  const hard = limits?.open_files?.hard;
  return typeof hard === 'number' ? hard : null;
}

export function filesFinding(limit: number | null): Finding {
  if (limit === null) return ok('open files', 'no limit');
  const text = `${limit} a process, about ${Math.max(0, limit - 100)} connections`;
  if (limit >= FILES) return ok('open files', text);
  return warn('open files', text, 'raise it: LimitNOFILE= in the systemd unit, or ulimit -n; docs/deploying.md');
}

function backlogFindings(): Finding[] {
  let text: string;
  try {
    text = readFileSync('/proc/sys/net/core/somaxconn', 'utf8').trim();
  } catch {
    return [];
  }
  if (Number(text) >= BACKLOG) return [ok('backlog', `net.core.somaxconn is ${text}`)];
  return [warn('backlog', `net.core.somaxconn is ${text}, under ${BACKLOG}`, 'install deploy/sysctl.conf')];
}

/** The file with the keys, the private key, the folder of state. */
export function fileFindings(config: Config, file: string | undefined): Finding[] {
  const secrets = [file, config.tls?.key].filter((name) => name !== undefined);
  const open = secrets.filter(isReadByAll).map((name) => {
    return warn('files', `${name} holds secrets, and every user of this machine may read it`, `chmod o-r ${name}`);
  });
  return [...open, ...dataFindings(config.data)];
}

function isReadByAll(file: string): boolean {
  try {
    return process.platform !== 'win32' && (statSync(file).mode & OTHERS_READ) !== 0;
  } catch {
    return false;
  }
}

function dataFindings(folder: string): Finding[] {
  if (folder === 'none') return [];
  const exists = isWritable(folder);
  if (exists === true) return [ok('data', `${folder} can be written`), ...openFindings(folder)];
  if (exists ?? isWritable(dirname(folder))) return [ok('data', `${folder} can be written`)];
  return [fail('data', `${folder} cannot be written`, `give it to the user that runs the server, or set data`)];
}

function openFindings(folder: string): Finding[] {
  const access = accessOfOthers(folder);
  if (access === null) return [];
  const problem = `other users of this machine may read ${folder}, where messages are kept`;
  if (access === 'close') return [warn('data', problem, `chmod 700 ${folder}; the server does so when it starts`)];
  return [fail('data', problem, `chmod 700 ${folder}, or set data to a folder of the server’s own`)];
}

/** Whether this process may write to a folder; undefined where there is no such folder. */
function isWritable(folder: string): boolean | undefined {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? undefined : false;
  }
}
