/** The rules of the source that no compiler holds: who may import whom, budgets of lines, words that are not used. */

/** Source files by their path from the project's root. */
export type Sources = ReadonlyMap<string, string>;

const lineBudget = 400;

/** A file may import from its own layer and from those before it. */
const layers = ['leaf', 'actors', 'protocols', 'http', 'server', 'main'] as const;
type Layer = (typeof layers)[number];

const leaves: ReadonlySet<string> = new Set([
  'src/bounded-map.ts',
  'src/certificate.ts',
  'src/clock.ts',
  'src/conditions.ts',
  'src/comings.ts',
  'src/config-domain.ts',
  'src/config-errors.ts',
  'src/config-formats.ts',
  'src/config-limits.ts',
  'src/config-parts.ts',
  'src/config-schema.ts',
  'src/config.ts',
  'src/engine.ts',
  'src/errors.ts',
  'src/event-kinds.ts',
  'src/fifo.ts',
  'src/slices.ts',
  'src/hangup.ts',
  'src/heap.ts',
  'src/inside.ts',
  'src/lockout.ts',
  'src/lifecycle.ts',
  'src/listening.ts',
  'src/log.ts',
  'src/metrics.ts',
  'src/recent-errors.ts',
  'src/nats-program.ts',
  'src/node-version.ts',
  'src/seldom.ts',
  'src/damaged.ts',
  'src/service-manager.ts',
  'src/uws.ts',
  'src/version.ts',
]);

const entry: ReadonlySet<string> = new Set([
  'src/main.ts',
  'src/run.ts',
  'src/command-line.ts',
  'src/domain-command.ts',
  'src/reload.ts',
  'src/flags.ts',
  'src/sign-token.ts',
]);

/** The files that may know uWebSockets.js, beside all of src/http and src/admin. */
const socketAdapters: ReadonlySet<string> = new Set([
  'src/server.ts',
  'src/doctor/doctor.ts',
  'src/protocols/connection-limits.ts',
  'src/protocols/headers.ts',
  'src/protocols/jsonp.ts',
  'src/protocols/events.ts',
  'src/protocols/receiving.ts',
  'src/protocols/refusal.ts',
  'src/protocols/socket.ts',
  'src/protocols/websocket.ts',
  'src/protocols/mqtt/server.ts',
  'src/protocols/mqtt/websocket.ts',
]);

/** Adapters do not know each other; each is the files under its prefix. */
const adapters: readonly string[] = [
  'src/protocols/events',
  'src/protocols/jsonp',
  'src/protocols/websocket',
  'src/protocols/mqtt',
];

function layerOf(path: string): Layer | undefined {
  if (leaves.has(path)) return 'leaf';
  if (entry.has(path)) return 'main';
  if (['src/server.ts', 'src/served-domains.ts', 'src/tally.ts'].includes(path)) return 'server';
  const folder = path.split('/')[1];
  if (folder === 'actors' || folder === 'protocols' || folder === 'http') return folder;
  if (folder === 'admin') return 'http';
  // Beside the server, of which it starts nothing.
  if (folder === 'doctor') return 'server';
  if (folder === 'workers') return 'main';
  // The ports: what outlives the process, what reaches other nodes.
  if (folder === 'store' || folder === 'cluster' || folder === 'directory' || folder === 'usage') return 'actors';
  return undefined;
}

/** What a file imports: project files as their path, packages by their name. */
export function importsOf(path: string, text: string): string[] {
  const found = text.matchAll(/(?:^|\s)(?:from|import)\s*\(?\s*'([^']+)'/g);
  return [...found].map(([, name = '']) => {
    if (!name.startsWith('.')) return name;
    const parts = path.split('/').slice(0, -1);
    for (const step of name.split('/')) {
      if (step === '..') parts.pop();
      else if (step !== '.') parts.push(step);
    }
    return parts.join('/').replace(/\.js$/, '.ts');
  });
}

/** One line for each rule that is broken, beginning with the file. */
export function violations(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => [
    ...budget(path, text),
    ...words(path, text),
    ...(path.startsWith('src/') ? [...directions(path, text), ...owners(path, text)] : []),
  ]);
}

function directions(path: string, text: string): string[] {
  const layer = layerOf(path);
  if (layer === undefined) return [`${path}: belongs to no layer`];
  const found: string[] = [];
  for (const target of importsOf(path, text).filter((name) => name.startsWith('src/'))) {
    const below = layerOf(target);
    if (target === 'src/main.ts') found.push(`${path}: imports main, which nobody does`);
    else if (below === undefined || layers.indexOf(below) > layers.indexOf(layer)) {
      found.push(`${path}: imports ${target}, against the direction`);
    }
    const own = adapters.find((prefix) => path.startsWith(prefix));
    const other = adapters.find((prefix) => target.startsWith(prefix));
    if (own !== undefined && other !== undefined && own !== other) {
      found.push(`${path}: imports ${target}, another adapter`);
    }
  }
  return found;
}

function owners(path: string, text: string): string[] {
  const found: string[] = [];
  const names = importsOf(path, text);
  if (names.includes('nact') && path !== 'src/actors/system.ts') {
    found.push(`${path}: imports nact, which only src/actors/system.ts does`);
  }
  if (names.some((name) => name.startsWith('uws-')) && path !== 'src/uws.ts') {
    found.push(`${path}: imports a build of uWebSockets.js, which only src/uws.ts does`);
  }
  const knowsSockets = socketAdapters.has(path) || /^src\/(http|admin)\//.test(path);
  if (names.includes('src/uws.ts') && !knowsSockets) found.push(`${path}: imports uWebSockets.js, but is no adapter`);
  if (/process\.stdout|console\./.test(text) && path !== 'src/log.ts') {
    found.push(`${path}: uses stdout, which only src/log.ts does`);
  }
  return found;
}

function budget(path: string, text: string): string[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return lines > lineBudget ? [`${path}: has ${lines} lines, more than ${lineBudget}`] : [];
}

const unwanted: readonly (readonly [RegExp, string])[] = [
  [new RegExp('\\b(TO' + 'DO|FIX' + 'ME|XX' + 'X)\\b'), 'holds a note of unfinished work'],
  [new RegExp('@ts-(ig' + 'nore|no' + 'check)'), 'silences the compiler'],
  [/\bclass \w*(Manager|Handler|Helper|Utils|Base|Impl|Common)\b/, 'names a class for nothing it is'],
  [/^export \* from /m, 'is a barrel'],
  [/^(export )?(const )?enum /m, 'declares an enum'],
];

function words(path: string, text: string): string[] {
  return unwanted.filter(([pattern]) => pattern.test(text)).map(([, complaint]) => `${path}: ${complaint}`);
}
