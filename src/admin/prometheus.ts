/** Metrics in the text format of Prometheus, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { Family, Labels, Value } from './family.js';

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** A family and its numbers. */
export type Described = readonly [Pick<Family, 'name' | 'type' | 'help'>, readonly Value[]];

export function prometheusText(families: readonly Described[]): string {
  return families.map(familyText).join('\n');
}

function familyText([{ name, type, help }, values]: Described): string {
  const head = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`];
  return `${[...head, ...values.flatMap((value) => samples(name, value))].join('\n')}\n`;
}

function samples(name: string, measured: Value): string[] {
  const { labels } = measured;
  if ('value' in measured) return [sample(name, labels, measured.value)];
  let below = 0;
  const buckets = measured.buckets.map(({ le, count }) => {
    below += count;
    return sample(`${name}_bucket`, { ...labels, le: le === null ? '+Inf' : String(le) }, below);
  });
  return [...buckets, sample(`${name}_sum`, labels, measured.sum), sample(`${name}_count`, labels, measured.count)];
}

function sample(name: string, labels: Labels, value: number): string {
  const written = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${written.length === 0 ? '' : `{${written.join(',')}}`} ${value}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
