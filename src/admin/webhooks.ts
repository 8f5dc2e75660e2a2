/** Webhooks as operators see them: what waits for each site, and what it answered last, by its status alone. */
import type { Domain } from '../actors/domain.js';
import type { OutboxView } from '../actors/outbox.js';
import type { Context } from '../protocols/context.js';
import { answerError, answerJson, type Handler, maySee } from './answer.js';

const LISTED = 50;

export interface WebhookRow extends OutboxView {
  readonly domain: string;
  /** `events`, or a service: `sid:help`. */
  readonly of: string;
}

export interface WebhookRows {
  readonly total: number;
  /** The webhooks for which most events and messages wait. */
  readonly webhooks: readonly WebhookRow[];
}

function rowsOf({ name, events, webhooks }: Domain): WebhookRow[] {
  const own = events?.view ? [{ domain: name, of: 'events', ...events.view }] : [];
  return [...own, ...Array.from(webhooks, ({ id, view }) => ({ domain: name, of: `sid:${id}`, ...view }))];
}

/** The first of some rows: those for which most waits. */
export function largestRows(rows: readonly WebhookRow[]): WebhookRows {
  const sorted = [...rows].sort((a, b) => b.waiting - a.waiting || (a.domain < b.domain ? -1 : 1));
  return { total: rows.length, webhooks: sorted.slice(0, LISTED) };
}

function later(a: number | null, b: number | null): boolean {
  return (a ?? 0) > (b ?? 0);
}

/** What all workers have of the webhooks, each of which has a queue of its own. */
export function mergeWebhooks(all: Iterable<WebhookRows>): WebhookRows {
  const sums = new Map<string, WebhookRow>();
  for (const row of [...all].flatMap(({ webhooks }) => webhooks)) {
    const key = JSON.stringify([row.domain, row.of]);
    const known = sums.get(key);
    if (!known) {
      sums.set(key, row);
      continue;
    }
    const { lastStatus, lastAt } = later(row.lastAt, known.lastAt) ? row : known;
    const oldest = known.oldest === null || (row.oldest ?? known.oldest) < known.oldest ? row.oldest : known.oldest;
    const sum = { waiting: known.waiting + row.waiting, bytes: known.bytes + row.bytes };
    sums.set(key, { ...known, ...sum, oldest, lastStatus, lastAt });
  }
  return largestRows([...sums.values()]);
}

export const TEST_EVENT = 'POST /api/domains/{domain}/events/test';

export function webhookRoutes({ domains }: Context): [string, Handler][] {
  return [
    [
      'GET /api/webhooks',
      (request) => {
        const seen = [...domains.values()].filter(({ name }) => maySee(request, name));
        answerJson(request.response, largestRows(seen.flatMap(rowsOf)));
      },
    ],
    [
      TEST_EVENT,
      (request) => {
        const { response, parts } = request;
        const domain = domains.get(parts.get('domain') ?? '');
        if (!domain || !maySee(request, domain.name)) return answerError(response, 404, 'not found');
        if (!domain.events) return answerError(response, 409, 'the domain has no events configured');
        domain.events.raise('test', {});
        answerJson(response, { status: 'ok' });
      },
    ],
  ];
}
