/** Reads Prometheus text, version 0.0.4, strictly: what is not of its form throws. */

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  /** Name and labels as written → value. */
  readonly series: Map<string, number>;
}

const SERIES = /^([a-z0-9_]+)(\{[a-z0-9_]+="(?:[^"\\]|\\.)*"(?:,[a-z0-9_]+="(?:[^"\\]|\\.)*")*\})? (\S+)$/;

function begin(line: string, type: string | undefined): Family {
  const [, name, help] = /^# HELP ([a-z0-9_]+) (.+)$/.exec(line) ?? [];
  const [, typed, kind] = /^# TYPE ([a-z0-9_]+) (counter|gauge|histogram)$/.exec(type ?? '') ?? [];
  if (name === undefined || help === undefined || typed !== name || kind === undefined) {
    throw new Error(`no HELP and TYPE: ${line} / ${type}`);
  }
  return { name, help, type: kind, series: new Map() };
}

/** The families by name. */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const lines = text.split('\n').filter((line) => line !== '');
  let family: Family | undefined;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string;
    if (line.startsWith('#')) {
      family = begin(line, lines[++i]);
      if (families.has(family.name)) throw new Error(`twice: ${family.name}`);
      families.set(family.name, family);
      continue;
    }
    const [, name = '', labels = '', value = ''] = SERIES.exec(line) ?? [];
    const base = family?.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name;
    if (!family || base !== family.name || !Number.isFinite(Number(value))) throw new Error(`no series: ${line}`);
    if (family.series.has(name + labels)) throw new Error(`twice: ${name}${labels}`);
    family.series.set(name + labels, Number(value));
  }
  return families;
}

/** All numbers by series, as `name{label="value"}`. */
export function seriesOf(text: string): Map<string, number> {
  return new Map([...parseMetrics(text).values()].flatMap(({ series }) => [...series]));
}
