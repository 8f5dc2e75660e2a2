/** What the admin port answers to who may use it, by method and path. */
import type { IncomingMessage } from 'node:http';
import type { Context } from '../protocols/context.js';
import { answer, answerError, answerJson, type Handler, maySee, type Request, redirect } from './answer.js';
import type { Auth } from './auth.js';
import { domainRoutes } from './domains.js';
import type { Source } from './family.js';
import { largestRooms, lookup, NOT_SERVED, targetOf } from './lookup.js';
import { NamedDomains } from './named-domains.js';
import type { Asset } from './page.js';
import { PROMETHEUS_TYPE, prometheusText } from './prometheus.js';
import { reloadRoute } from './reload.js';
import { nodeView, statistics, valuesOf } from './stats.js';
import { Stream } from './stream.js';
import { LONGEST_MINUTES, type Tracing } from './tracing.js';
import { webhookRoutes } from './webhooks.js';

const LISTED = 20;
/** The most items of a list that one answer holds, an answer to the parent of a worker too. */
export const MOST_LISTED = 10_000;
const TRACE_MINUTES = 5;
/** The most bytes of a login form: a percent-encoded token and the name of its field. */
const FORM_BYTES = 16 * 1024;

export function limitOf(url: URL): number {
  const limit = Number(url.searchParams.get('limit') ?? LISTED);
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, MOST_LISTED) : LISTED;
}

function statsRoutes(context: Context, source: Source): [string, Handler][] {
  const stream = new Stream(source.history, () => nodeView(source));
  const named = new NamedDomains(() => context.config().admin.metricsDomains, context.runtime.clock);
  return [
    [
      'GET /metrics',
      ({ response, viewer }) => {
        const shown = viewer?.domains
          ? valuesOf(source, viewer).filter(([, values]) => values.length > 0)
          : named.bound((only) => valuesOf(source, viewer, only));
        answer(response, 200, PROMETHEUS_TYPE, prometheusText(shown));
      },
    ],
    ['GET /api/stats', ({ response, viewer }) => answerJson(response, statistics(source, viewer))],
    [
      'GET /api/stream',
      ({ response, viewer }) => {
        if (viewer?.domains) answerError(response, 403, 'owners see no numbers of the whole server');
        else stream.watch(response);
      },
    ],
    [
      'GET /api/rooms',
      (request) => {
        const { response, url, viewer } = request;
        const only = url.searchParams.get('domain') || null;
        if (only !== null && !maySee(request, only)) return answerJson(response, { total: 0, rooms: [] });
        answerJson(response, largestRooms(context, limitOf(url), only === null ? (viewer?.domains ?? null) : [only]));
      },
    ],
    [
      'GET /api/errors',
      (request) => {
        const errors = source.metrics.recent.summary();
        answerJson(request.response, { errors: errors.filter(({ domain }) => maySee(request, domain)) });
      },
    ],
  ];
}

function endpointRoutes(context: Context, tracing: Tracing): [string, Handler][] {
  const viewTrace = (request: Request): void => {
    const { response, url } = request;
    const trace = tracing.view(Number(url.searchParams.get('after')) || 0);
    answerJson(response, { trace: trace && maySee(request, trace.domain) ? trace : null });
  };
  /** What a query names, where the one who asks may see it; a text says what is wrong. */
  const targetFor = (request: Request): ReturnType<typeof targetOf> => {
    const { searchParams } = request.url;
    return maySee(request, searchParams.get('domain') ?? '') ? targetOf(context, searchParams) : NOT_SERVED;
  };
  /** Whether a trace of somebody else's domain runs, which the one who asks must not end. */
  const isTaken = (request: Request): boolean => {
    const trace = tracing.view(Number.POSITIVE_INFINITY);
    return trace?.active === true && !maySee(request, trace.domain);
  };
  return [
    [
      'GET /api/endpoint',
      async (request) => {
        const found = targetFor(request);
        if (typeof found === 'string') return answerError(request.response, 400, found);
        answerJson(request.response, await lookup(context, found.domain, found.target));
      },
    ],
    ['GET /api/trace', viewTrace],
    [
      'POST /api/trace',
      (request) => {
        const found = targetFor(request);
        if (typeof found === 'string') return answerError(request.response, 400, found);
        const minutes = Number(request.url.searchParams.get('minutes') || TRACE_MINUTES);
        if (!(minutes > 0 && minutes <= LONGEST_MINUTES)) {
          return answerError(request.response, 400, `minutes must be from 1 to ${LONGEST_MINUTES}`);
        }
        if (found.target.node === 'gid') return answerError(request.response, 400, 'a room cannot be traced');
        if (isTaken(request)) return answerError(request.response, 400, 'another trace is running: try again later');
        tracing.start(found.domain, found.target.address, minutes);
        viewTrace(request);
      },
    ],
    [
      'DELETE /api/trace',
      (request) => {
        if (!isTaken(request)) tracing.stop();
        viewTrace(request);
      },
    ],
  ];
}

/** Handlers for those who may use the port, by method and path. */
export function protectedRoutes(
  context: Context,
  source: Source,
  tracing: Tracing,
  assets: ReadonlyMap<string, Asset>,
): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ...statsRoutes(context, source),
    ...endpointRoutes(context, tracing),
    ...domainRoutes(context),
    ...webhookRoutes(context),
    reloadRoute(context.reload),
    pageRoute(assets),
  ]);
}

export function pageRoute(assets: ReadonlyMap<string, Asset>): [string, Handler] {
  return ['GET /', ({ response }) => answerAsset({ response }, assets.get('dashboard.html'))];
}

function answerAsset({ response }: Pick<Request, 'response'>, asset: Asset | undefined): void {
  if (asset) answer(response, 200, asset.type, asset.body);
  else answerError(response, 404, 'not found');
}

/** Reads a form of at most FORM_BYTES; null where it is larger. */
async function readForm(message: IncomingMessage): Promise<URLSearchParams | null> {
  let text = '';
  for await (const chunk of message.setEncoding('utf8')) {
    if (text.length <= FORM_BYTES) text += chunk;
  }
  return text.length <= FORM_BYTES ? new URLSearchParams(text) : null;
}

/** Whether the request carries the cookie of a login, and what whoever sent it may see; null: all domains. */
function sessionOf(auth: Auth, message: IncomingMessage): object {
  const verdict = auth.check(message);
  const domains = verdict.kind === 'welcome' ? verdict.viewer.domains : null;
  return { loggedIn: auth.hasSession(message), domains: domains && [...domains] };
}

/** Handlers for everybody, by method and path: what it takes to log in. */
export function openRoutes(auth: Auth, assets: ReadonlyMap<string, Asset>): ReadonlyMap<string, Handler> {
  const login = async ({ message, response }: Request): Promise<void> => {
    const form = await readForm(message);
    const token = form?.get('token') ?? '';
    const verdict = auth.present(message, token);
    if (verdict.kind === 'welcome') redirect(response, './', { 'set-cookie': auth.cookie(message, token) });
    else redirect(response, verdict.kind === 'blocked' ? `login?wait=${verdict.waitS}` : 'login?wrong=1');
  };
  return new Map<string, Handler>([
    ['GET /login', ({ response }) => answerAsset({ response }, assets.get('login.html'))],
    ['POST /login', login],
    ['GET /api/session', ({ message, response }) => answerJson(response, sessionOf(auth, message))],
    ['POST /logout', ({ message, response }) => redirect(response, 'login', { 'set-cookie': auth.end(message) })],
    ...[...assets]
      .filter(([name]) => !name.endsWith('.html'))
      .map(([name, asset]) => [`GET /assets/${name}`, (request: Request) => answerAsset(request, asset)] as const),
  ]);
}
