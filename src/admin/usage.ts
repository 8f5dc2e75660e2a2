/** `GET /api/domains/{domain}/usage`: what a domain has used, as JSON or CSV. */
import type { Context } from '../protocols/context.js';
import { gatherUsage } from '../usage/gather.js';
import type { Usage, UsageRow } from '../usage/usage.js';
import { answer, answerError, answerJson, type Handler, maySee } from './answer.js';

const DAY_MS = 86_400_000;
/** Asked for where no time is named. */
const DAYS = 30;
const MOST_MS = 400 * DAY_MS;

const COLUMNS = [
  ...([
    'peakOnline',
    'users',
    'messagesIn',
    'messagesOut',
    'bytesIn',
    'bytesOut',
    'restCalls',
    'connectionHours',
  ] as const),
];

/** A time as milliseconds or as ISO 8601; NaN: it is none. */
function timeOf(text: string | null, byDefault: number): number {
  if (text === null || text === '') return byDefault;
  return /^\d+$/.test(text) ? Number(text) : Date.parse(text);
}

function csv(rows: readonly UsageRow[]): string {
  const lines = rows.map((row) => [new Date(row.from).toISOString(), ...COLUMNS.map((name) => row[name])].join(','));
  return [['from', ...COLUMNS].join(','), ...lines, ''].join('\n');
}

export function usageRoute(context: Context, usage: Usage): [string, Handler] {
  const show: Handler = async (request) => {
    const { response, url, parts } = request;
    const domain = parts.get('domain') ?? '';
    if (!maySee(request, domain) || !context.domains.has(domain)) return answerError(response, 404, 'not found');
    const now = context.runtime.clock.now();
    const query = url.searchParams;
    const to = timeOf(query.get('to'), now + 1);
    const from = timeOf(query.get('from'), to - DAYS * DAY_MS);
    const step = query.get('step') ?? 'hour';
    if (!(from >= 0 && to > from && to - from <= MOST_MS)) {
      return answerError(response, 400, 'from and to must be times, milliseconds since the epoch or ISO 8601');
    }
    if (step !== 'hour' && step !== 'day') return answerError(response, 400, 'step must be hour or day');
    const rows = await gatherUsage(context.node, usage, domain, from, to, step);
    if (query.get('format') === 'csv') return answer(response, 200, 'text/csv; charset=utf-8', csv(rows));
    answerJson(response, { usage: rows });
  };
  return ['GET /api/domains/{domain}/usage', show];
}
