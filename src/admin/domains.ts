/** Domains at run time: listed, made, changed and removed by those who may. OPERATING.md, "Domains at run time". */
import type { DomainConfig } from '../config.js';
import { Operations, type Outcome, SECRETS, type Viewer } from '../directory/operations.js';
import type { Plain } from '../directory/registers.js';
import { fingerprintOf } from '../directory/secrets.js';
import type { Context } from '../protocols/context.js';
import { answerError, answerJson, type Handler, maySee, type Request } from './answer.js';
import { readObject } from './body.js';
import { domainPage, queryOf } from './domain-list.js';

const MOST_AUDITED = 1000;

/** What any node of a cluster answers alike: the parent of workers asks one of them. */
export const FORWARDED: readonly string[] = [
  'GET /api/domains/{domain}',
  'PUT /api/domains/{domain}',
  'PATCH /api/domains/{domain}',
  'DELETE /api/domains/{domain}',
  'POST /api/domains/{domain}/keys',
  'DELETE /api/domains/{domain}/keys/{fingerprint}',
  'GET /api/audit',
];

/** An operation on one domain. */
type Operation = (viewer: Viewer, domain: string, request: Request) => Outcome | Promise<Outcome>;

/** Calls `done` once what was done is on disk and known to every node. */
function whenHeld({ runtime, node }: Context): Promise<void> {
  const { store } = runtime;
  const onDisk = new Promise<void>((resolve) => (store ? store.committed(resolve) : resolve()));
  const onNodes = new Promise<void>((resolve) => (node ? node.mesh.barrier(resolve) : resolve()));
  return Promise.all([onDisk, onNodes]).then(() => undefined);
}

/** A handler for an operation that changes something: it is answered when it holds. */
function changing(context: Context, operation: Operation): Handler {
  return async (request) => {
    const { response, parts, viewer } = request;
    const domain = parts.get('domain') ?? '';
    if (!viewer || !maySee(request, domain)) return answerError(response, 404, 'not found');
    if (context.runtime.store?.hasRoom() === false) return answerError(response, 503, 'the disk is full');
    const { status, body } = await operation(viewer, domain, request);
    if (status < 300) await whenHeld(context);
    answerJson(response, body, status);
  };
}

/** The same with a JSON body. */
function changingBy(context: Context, operation: (viewer: Viewer, domain: string, body: Plain) => Outcome): Handler {
  return changing(context, async (viewer, domain, { message }) => {
    const body = await readObject(message);
    if (typeof body !== 'string') return operation(viewer, domain, body);
    return { status: 400, body: { status: 'error', message: 'bad request', detail: body } };
  });
}

/** A domain's settings without its secrets, of which only the names are shown, and its keys by their fingerprints. */
export function domainView({ served, state }: Context, settings: DomainConfig): Plain {
  const { domain, apikey, services, ...others } = settings;
  const isFixed = served.isFixed(domain);
  const shown = Object.entries(others).filter(([name]) => !SECRETS.includes(name));
  const keys = isFixed
    ? [apikey].flat().map((key) => ({ fingerprint: fingerprintOf(key), added: null }))
    : state.directory.keys(domain).map(({ fingerprint, added }) => ({ fingerprint, added }));
  const secrets = Object.entries(others).filter(([name, value]) => SECRETS.includes(name) && value !== null);
  return {
    domain,
    source: isFixed ? 'file' : 'store',
    ...Object.fromEntries(shown),
    services: Object.fromEntries(services),
    keys,
    secrets: secrets.map(([name]) => name),
  };
}

function limitOf(url: URL, byDefault: number, most: number): number {
  const limit = Number(url.searchParams.get('limit') ?? byDefault);
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, most) : byDefault;
}

/** How many domains a page has by default, and at most. */
export function pageLimitOf(url: URL): number {
  return limitOf(url, 50, 1000);
}

function readingRoutes(context: Context): [string, Handler][] {
  return [
    [
      'GET /api/domains',
      ({ response, url, viewer }) =>
        answerJson(response, domainPage(context, viewer?.domains ?? null, queryOf(url, pageLimitOf(url)))),
    ],
    [
      'GET /api/domains/{domain}',
      (request) => {
        const domain = context.domains.get(request.parts.get('domain') ?? '');
        if (!domain || !maySee(request, domain.name)) return answerError(request.response, 404, 'not found');
        answerJson(request.response, domainView(context, domain.settings));
      },
    ],
    [
      'GET /api/audit',
      ({ response, url, viewer }) => {
        const { audit } = context.state;
        const domain = url.searchParams.get('domain') || null;
        answerJson(response, {
          audit: audit.latest(viewer?.domains ?? null, domain, limitOf(url, 100, MOST_AUDITED)),
        });
      },
    ],
  ];
}

export function domainRoutes(context: Context): [string, Handler][] {
  const { state, served, runtime } = context;
  const operations = new Operations(
    state.directory,
    state.audit,
    () => runtime.clock.now(),
    (name) => served.isFixed(name),
    (name) => served.isLeaving(name),
    () => context.config(),
  );
  return [
    ...readingRoutes(context),
    ['PUT /api/domains/{domain}', changingBy(context, operations.put.bind(operations))],
    ['PATCH /api/domains/{domain}', changingBy(context, operations.patch.bind(operations))],
    ['DELETE /api/domains/{domain}', changing(context, operations.remove.bind(operations))],
    ['POST /api/domains/{domain}/keys', changing(context, operations.addKey.bind(operations))],
    [
      'DELETE /api/domains/{domain}/keys/{fingerprint}',
      changing(context, (viewer, domain, { parts }) =>
        operations.removeKey(viewer, domain, parts.get('fingerprint') ?? ''),
      ),
    ],
  ];
}
