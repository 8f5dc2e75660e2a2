/** Domains at run time: listed, made, changed and removed by those who may. OPERATING.md, "Domains at run time". */
import type { DomainConfig } from '../config.js';
import { domainLimits } from '../config-limits.js';
import { Operations, SECRETS } from '../directory/operations.js';
import type { Plain } from '../directory/registers.js';
import { fingerprintOf } from '../directory/secrets.js';
import type { LimitName } from '../metrics.js';
import type { Context } from '../protocols/context.js';
import { answerError, answerJson, type Handler, maySee } from './answer.js';
import { changing, changingBy } from './changing.js';
import { domainPage, queryOf } from './domain-list.js';
import { domainStateRoute } from './domain-state.js';
import { MODERATION_ROUTES, moderationRoutes } from './moderation.js';
import { usageRoute } from './usage.js';

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
  'GET /api/domains/{domain}/usage',
  ...MODERATION_ROUTES,
];

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
    // As they were given: the webhook that a service takes from its domain is not its own.
    services: (isFixed ? null : state.directory.plain(domain)?.services) ?? Object.fromEntries(services),
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
    ...moderationRoutes(context),
    usageRoute(context, context.usage),
    domainStateRoute(context, Object.keys(domainLimits) as LimitName[]),
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
