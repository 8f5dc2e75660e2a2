/** The one table: a row for each scenario, mode and metric, a column for each target. Markdown that reads as text. */
import { find, metrics, percent, type Results, type Series } from './results.js';
import type { Metric, TargetName } from './scenario.js';
import { pairedRatio, summarize } from './statistics.js';

/** From this share of its core on, and busier than the server, the load generator may be what was measured. */
const boundShare = 0.9;

const titles: Readonly<Record<TargetName, string>> = {
  nextalk: 'NexTalk',
  data: 'with data',
  history: 'with history',
  before: 'before',
  uws: 'bare uWS',
  ws: 'ws',
  socketio: 'Socket.IO',
  nchan: 'nchan',
  mosquitto: 'mosquitto',
  aedes: 'aedes',
  none: 'in process',
};

const order = Object.keys(titles) as TargetName[];

/** Lines of equal columns between bars. */
export function drawTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** Our value and a peer's, as the ratio that is better the higher it is for `more`, the lower for `less`. */
function ratio(ours: Series | undefined, peer: Series, paired = false): string {
  if (ours === undefined || ours === peer || metrics[peer.metric].better === undefined) return '';
  if (paired) {
    const { median, error } = pairedRatio(ours.values, peer.values);
    return ` (${median.toFixed(2)}× ±${error.toFixed(3)})`;
  }
  const value = summarize(ours.values).median / summarize(peer.values).median;
  return Number.isFinite(value) ? ` (${value.toFixed(2)}×)` : '';
}

function cell(results: Results, series: Series): string {
  const { median, spread } = summarize(series.values);
  const written = metrics[series.metric].write(median);
  const { scenario, mode, metric } = series;
  const repeated = series.values.length > 1 && metrics[metric].better !== undefined;
  const around = repeated && !results.paired ? ` ±${Math.round(spread * 100)}%` : '';
  const bound = metric === 'rate' && isBound(results, series) ? '≥' : '';
  const ours = find(results.series, scenario, mode, 'nextalk', metric);
  return `${bound}${written}${around}${ratio(ours, series, results.paired)}`;
}

function isBound(results: Results, { scenario, mode, target }: Series): boolean {
  const share = (metric: Metric): number =>
    summarize(find(results.series, scenario, mode, target, metric)?.values ?? [0]).median;
  return share('generator') >= boundShare && share('generator') > share('server');
}

/** Shares of a core that only describe a run share a row. */
const shares: readonly Metric[] = ['server', 'generator', 'others'];

function shareCell(results: Results, scenario: string, mode: string, target: TargetName): string {
  const medians = shares.map((metric) => find(results.series, scenario, mode, target, metric));
  if (medians.every((series) => series === undefined)) return '';
  return medians.map((series) => (series === undefined ? '–' : percent(summarize(series.values).median))).join(' · ');
}

/** The table of results. A peer's cell ends with our value as a multiple of its; `≥` marks a busy generator. */
export function resultsTable(results: Results): string {
  const targets = order.filter((target) => results.series.some((series) => series.target === target));
  const rows: string[][] = [];
  const seen = new Set<string>();
  for (const { scenario, mode, metric } of results.series) {
    const shared = shares.includes(metric);
    const key = `${scenario} ${mode} ${shared ? 'shares' : metric}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const label = shared ? 'core: server · generator · others' : metrics[metric].label;
    rows.push([scenario, mode, label, ...targets.map((target) => at(scenario, mode, target, metric))]);
  }
  return drawTable(['scenario', 'mode', '', ...targets.map((target) => titles[target])], rows);

  function at(scenario: string, mode: string, target: TargetName, metric: Metric): string {
    if (shares.includes(metric)) return shareCell(results, scenario, mode, target);
    const series = find(results.series, scenario, mode, target, metric);
    return series === undefined ? '' : cell(results, series);
  }
}

/** Two results side by side: what changed by more than both spreads is marked. */
export function comparisonTable(before: Results, after: Results): string {
  const rows: string[][] = [];
  for (const series of after.series) {
    const { scenario, mode, target, metric } = series;
    const { better, write, label } = metrics[metric];
    const old = find(before.series, scenario, mode, target, metric);
    if (old === undefined || better === undefined) continue;
    const a = summarize(old.values);
    const b = summarize(series.values);
    const change = b.median / a.median - 1;
    const beyond = Math.abs(change) > a.spread + b.spread;
    const verdict = !beyond ? '' : change > 0 === (better === 'more') ? 'better' : 'worse';
    const sign = change > 0 ? '+' : '';
    const values = [write(a.median), write(b.median), `${sign}${(change * 100).toFixed(1)}%`];
    const spreads = `±${Math.round(a.spread * 100)}% ±${Math.round(b.spread * 100)}%`;
    rows.push([scenario, mode, titles[target], label, ...values, spreads, verdict]);
  }
  return drawTable(['scenario', 'mode', 'target', '', 'A', 'B', 'change', 'spreads', ''], rows);
}
