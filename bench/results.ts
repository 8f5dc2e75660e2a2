/** What a run of the benchmarks leaves: every value of every run, and under which conditions. */
import type { Metric, TargetName } from './scenario.js';

/** All values of one number: a scenario's mode, one target, one metric, one value for each run. */
export interface Series {
  readonly scenario: string;
  readonly mode: string;
  readonly target: TargetName;
  readonly metric: Metric;
  readonly values: number[];
}

export interface Results {
  readonly date: string;
  readonly machine: string;
  readonly runs: number;
  readonly quick: boolean;
  /** Servers took turns: the values at one place of their series are of windows beside each other. */
  readonly paired?: boolean;
  /** Name and version of each target that ran. */
  readonly versions: Readonly<Record<string, string>>;
  /** What did not run, and why. */
  readonly skipped: readonly string[];
  readonly series: readonly Series[];
}

export interface MetricMeaning {
  readonly label: string;
  /** Which way is better; undefined for what only describes the run. */
  readonly better?: 'more' | 'less';
  readonly write: (value: number) => string;
}

export const percent = (value: number): string => `${Math.round(value * 100)}%`;
const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const thousands = (value: number): string => (value >= 10_000 ? `${Math.round(value / 1000)}k` : value.toFixed(0));

export const metrics: Readonly<Record<Metric, MetricMeaning>> = {
  rate: { label: '/s', better: 'more', write: thousands },
  cost: { label: 'server µs each', better: 'less', write: digits },
  server: { label: 'server core', write: percent },
  generator: { label: 'generator core', write: percent },
  others: { label: 'others, cores', write: percent },
  idle: { label: 'core while others have their turn', write: (value) => `${(value * 100).toFixed(1)}%` },
  p50: { label: 'p50 ms', better: 'less', write: digits },
  p99: { label: 'p99 ms', better: 'less', write: digits },
  p999: { label: 'p99.9 ms', better: 'less', write: digits },
  late: { label: 'generator late p99 ms', write: digits },
  memory: { label: 'KiB each, collected', better: 'less', write: digits },
  uncollected: { label: 'KiB each, as it stands', write: digits },
  seconds: { label: 'seconds in all', better: 'less', write: digits },
};

/** Adds the figures of one run to the series. */
export function addFigures(
  series: Series[],
  scenario: string,
  target: TargetName,
  figures: readonly { mode: string; metric: Metric; value: number }[],
): void {
  for (const { mode, metric, value } of figures) {
    const known = find(series, scenario, mode, target, metric);
    if (known === undefined) series.push({ scenario, mode, target, metric, values: [value] });
    else known.values.push(value);
  }
}

export function find(
  series: readonly Series[],
  scenario: string,
  mode: string,
  target: TargetName,
  metric: Metric,
): Series | undefined {
  return series.find(
    (one) => one.scenario === scenario && one.mode === mode && one.target === target && one.metric === metric,
  );
}
