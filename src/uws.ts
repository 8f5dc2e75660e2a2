/**
 * The only way to uWebSockets.js, which is native code and published for a closed set of platforms.
 *
 * Two packages carry its builds. Neither is ever imported as such: one of them falls back to a slow imitation in
 * JavaScript, without an error, when its native build does not load. So the file itself is picked here, by what this
 * machine is, and where none fits the server ends with a message that says what would.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as uws from 'uws-node20';

export type {
  AppOptions,
  HttpRequest,
  HttpResponse,
  RecognizedString,
  TemplatedApp,
  us_listen_socket,
  us_socket_context_t,
  WebSocket,
  WebSocketBehavior,
} from 'uws-node20';

/**
 * A header of every answer after which the connection stays open: for how many seconds it certainly does. uWebSockets.js
 * closes one that is still after 8 to 12 s (its ten, looked at every four); a request that is sent meanwhile would be lost.
 */
export const KEEP_ALIVE = ['Keep-Alive', 'timeout=5'] as const;

/**
 * The header in place of KEEP_ALIVE while the server drains: the client must send nothing more on this connection (RFC 9112
 * section 9.6). The server still reads from it: if closed at once, requests sent meanwhile would make the system reset it.
 */
export const LAST_ANSWER = ['Connection', 'close'] as const;

/** What both native builds offer and the server uses. */
export type Uws = Pick<
  typeof uws,
  'App' | 'SSLApp' | 'us_listen_socket_close' | 'us_socket_local_port' | 'DISABLED' | 'SHARED_COMPRESSOR'
>;

/** What decides which build fits. `glibc` is undefined where there is none (macOS, Windows, Alpine's musl). */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** Node's module ABI, `process.versions.modules`: 115 is Node 20, 127 is 22, 137 is 24, 141 is 25. */
  readonly modules: string;
  readonly glibc: string | undefined;
}

/** A native build: the package that carries it and the file inside that package. */
export interface Build {
  readonly package: 'uws-node20' | 'uws-node22';
  readonly file: string;
}

interface Release {
  readonly package: Build['package'];
  readonly folder: string;
  readonly modules: readonly string[];
  readonly machines: Readonly<Record<string, { readonly glibc: string | undefined }>>;
}

// glibc: the highest symbol version that the published binaries ask for (objdump -T).
const releases: readonly Release[] = [
  {
    package: 'uws-node22',
    folder: '',
    modules: ['115', '127', '137', '141'],
    machines: {
      linux_x64: { glibc: '2.38' },
      linux_arm64: { glibc: '2.38' },
      darwin_x64: { glibc: undefined },
      darwin_arm64: { glibc: undefined },
      win32_x64: { glibc: undefined },
    },
  },
  {
    package: 'uws-node20',
    folder: 'binaries',
    modules: ['115'],
    machines: {
      linux_x64: { glibc: '2.27' },
      linux_arm64: { glibc: '2.27' },
      linux_arm: { glibc: '2.28' },
      darwin_x64: { glibc: undefined },
      darwin_arm64: { glibc: undefined },
      win32_x64: { glibc: undefined },
    },
  },
];

const supported = [
  'NexTalk needs the native uWebSockets.js, which exists for:',
  '  Linux x64 or arm64, glibc 2.38 or later (Debian 13, Ubuntu 24.04): Node 20, 22, 24, 25',
  '  Linux x64 or arm64, glibc 2.27 or later (Debian 10, Ubuntu 18.04): Node 20',
  '  Linux arm (32 bit), glibc 2.28 or later: Node 20',
  '  macOS x64 or arm64, Windows x64: Node 20, 22, 24, 25',
].join('\n');

/** Picks the newest build made for this machine, or says why there is none and what is supported. */
export function pickBuild(machine: Machine): Build | { readonly message: string } {
  for (const release of releases) {
    const key = `${machine.platform}_${machine.arch}`;
    const known = Object.hasOwn(release.machines, key) ? release.machines[key] : undefined;
    if (known === undefined || !release.modules.includes(machine.modules)) continue;
    if (known.glibc !== undefined && !isAtLeast(machine.glibc, known.glibc)) continue;
    const file = `uws_${key}_${machine.modules}.node`;
    return { package: release.package, file: release.folder === '' ? file : `${release.folder}/${file}` };
  }
  const libc = machine.platform === 'linux' ? `, glibc ${machine.glibc ?? 'none (musl is not supported)'}` : '';
  const here = `${machine.platform} ${machine.arch}, Node module version ${machine.modules}${libc}`;
  return { message: `no native build for this machine (${here}).\n${supported}` };
}

/** Compares dotted version numbers; an unknown version is never enough. */
function isAtLeast(version: string | undefined, needed: string): boolean {
  if (version === undefined) return false;
  const have = version.split('.').map(Number);
  for (const [i, want] of needed.split('.').map(Number).entries()) {
    const part = have[i] ?? 0;
    if (part !== want) return part > want;
  }
  return true;
}

/** The machine this process runs on. */
export function thisMachine(): Machine {
  return {
    platform: process.platform,
    arch: process.arch,
    modules: process.versions.modules,
    glibc: process.platform === 'linux' ? glibcVersion() : undefined,
  };
}

function glibcVersion(): string | undefined {
  const report: unknown = process.report.getReport();
  if (typeof report !== 'object' || report === null || !('header' in report)) return undefined;
  const header = report.header;
  if (typeof header !== 'object' || header === null || !('glibcVersionRuntime' in header)) return undefined;
  return typeof header.glibcVersionRuntime === 'string' ? header.glibcVersionRuntime : undefined;
}

/**
 * Room for a request's headers, its URL among them, that arrive in pieces, in bytes. PRESENCES is a GET and 500 friends
 * make 6 KB (PROTOCOL section 10 asks for 16 KiB at least). Only `uws-node22` reads it: in `uws-node20` the bound of
 * 4 KiB is compiled in. What arrives in one piece has no bound but the receive buffer of 512 KiB.
 */
export const headerBytes = 32 * 1024;

let loaded: Uws | undefined;

/**
 * Loads the native library, once. Throws an Error whose message is made for the operator when no build fits this
 * machine or the one that should does not load.
 */
export function loadUws(): Uws {
  if (loaded !== undefined) return loaded;
  const build = pickBuild(thisMachine());
  if ('message' in build) throw new Error(build.message);
  // Read by the native code at the moment it loads, never again; `uws-node20` does not look at it.
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(headerBytes);
  const require = createRequire(import.meta.url);
  try {
    // By its path: the package's exports do not name the native file.
    const root = packageRoot(require, build.package);
    loaded = require(join(root, build.file)) as Uws;
    hideBanner(loaded);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${build.package}/${build.file} does not load: ${reason}\n${supported}`);
  }
  return loaded;
}

/** Without this each answer of `uws-node20` names the library and its version. `uws-node22` has no such header. */
function hideBanner(library: Uws): void {
  const { _cfg: configure } = library as Uws & { _cfg?: (option: string) => void };
  configure?.('999999990007');
}

/** Finds the folder of an installed package from its entry file, without loading that. */
function packageRoot(require: NodeJS.Require, name: Build['package']): string {
  const entry = dirname(require.resolve(name));
  return name === 'uws-node20' ? dirname(entry) : entry;
}
