/** One thing that was looked at. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'failure';
  /** What was looked at: `node`, `ports`, … */
  readonly subject: string;
  readonly text: string;
  /** What to do about it; null where nothing needs to be done. */
  readonly advice: string | null;
}

export function ok(subject: string, text: string): Finding {
  return { level: 'ok', subject, text, advice: null };
}

/** It works, but not as well or as safely as it could. */
export function warn(subject: string, text: string, advice: string): Finding {
  return { level: 'warning', subject, text, advice };
}

/** The server would not start, or not serve. */
export function fail(subject: string, text: string, advice: string): Finding {
  return { level: 'failure', subject, text, advice };
}

const MARKS = { ok: 'ok      ', warning: 'warning ', failure: 'FAILURE ' } as const;

/** For a reader: a line for each, and below it what to do. */
export function reportOf(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ level, subject, text, advice }) => [
    `${MARKS[level]} ${subject}: ${text}`,
    ...(advice === null ? [] : advice.split('\n').map((line) => `          → ${line.trim()}`)),
  ]);
  const count = (wanted: Finding['level']) => {
    const number = findings.filter(({ level }) => level === wanted).length;
    return `${number} ${wanted}${number === 1 ? '' : 's'}`;
  };
  return `${[...lines, '', `${count('failure')}, ${count('warning')}`].join('\n')}\n`;
}
