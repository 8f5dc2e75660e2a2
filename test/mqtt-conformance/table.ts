import { readFileSync } from 'node:fs';
import { families } from './scenarios/all.js';
import { countsV5, elsewhereV5, statementsV5 } from './statements-v5.js';
import { countsV311, elsewhereV311, statementsV311 } from './statements-v311.js';

export type Standard = '3.1.1' | '5.0';

export const page = new URL('../../docs/mqtt.md', import.meta.url);

interface Shown {
  readonly file: string;
  readonly title: string;
}

interface Source {
  readonly statements: ReadonlyMap<string, string>;
  readonly elsewhere: string;
  readonly counts: string;
}

export const standards: ReadonlyMap<Standard, Source> = new Map([
  ['3.1.1', { statements: statementsV311, elsewhere: elsewhereV311, counts: countsV311 }],
  ['5.0', { statements: statementsV5, elsewhere: elsewhereV5, counts: countsV5 }],
]);

/** Statements that tests of other files show: the file, its title as it is written there, and the clauses. */
const others: readonly (readonly [file: string, title: string, v311: string, v5: string])[] = [
  [
    'acl.server.ts',
    'Bad credentials are refused, with the code of the version',
    '3.2.2-4 3.2.2-5',
    '3.1.4-2 3.2.2-6 3.2.2-7',
  ],
  [
    'acl.server.ts',
    'What a ticket may not publish is refused: acknowledged and dropped, or with its reason code',
    '3.3.5-2',
    '4.3.3-9',
  ],
];

/** Where the broker has nothing to do, and why. */
export const vacuous: ReadonlyMap<string, string> = new Map([
  ['3.1.1 3.2.2-6', 'there is always a return code that fits'],
  ['5.0 3.1.3-8', 'no client identifier is refused'],
  ['5.0 3.2.2-12', 'every QoS is supported'],
  ['5.0 3.2.2-13', 'retained messages are supported'],
  ['5.0 4.12.0-2', 'no authentication method is supported, and no AUTH sent'],
  ['5.0 4.12.0-5', 'no authentication method is supported, and no AUTH sent'],
  ['5.0 4.12.1-2', 'no authentication method is supported, and no AUTH sent'],
]);

/** The tests that show each clause of a standard. */
export function shown(standard: Standard): Map<string, Shown[]> {
  const found = new Map<string, Shown[]>();
  const add = (clauses: string, by: Shown): void => {
    for (const clause of clauses.split(' ')) if (clause) found.set(clause, [...(found.get(clause) ?? []), by]);
  };
  for (const [file, scenarios] of families) {
    for (const scenario of scenarios) add(scenario[standard] ?? '', { file, title: scenario.title });
  }
  for (const [file, title, v311, v5] of others) add(standard === '5.0' ? v5 : v311, { file, title });
  return found;
}

/** Titles of tests that the page cites and their file does not hold. */
export function missingTitles(): string[] {
  return others
    .filter(([file, title]) => !readFileSync(new URL(file, import.meta.url), 'utf8').includes(`'${title}'`))
    .map(([file, title]) => `${file}: ${title}`);
}

/** Every number of the standard, as its sections count them. */
export function numbers(standard: Standard): string[] {
  const counts = standards.get(standard)?.counts.split(' ') ?? [];
  const all = counts.flatMap((entry) => {
    const [section = '', count] = entry.split(':');
    return Array.from({ length: Number(count) }, (_, at) => `${section}-${at + 1}`);
  });
  return all.filter((number) => standard !== '5.0' || number !== '2.2.1-1');
}

function row(standard: Standard, clause: string, statement: string, by: readonly Shown[]): string {
  const reason = vacuous.get(`${standard} ${clause}`);
  const tests = by.map(({ file, title }) => `\`${file}\`: ${title}`).join('<br>');
  return `| [MQTT-${clause}] | ${statement} | ${tests || (reason ? `nothing to show: ${reason}` : '**not shown**')} |`;
}

/** The table of a standard, as docs/mqtt.md holds it between its markers. */
export function table(standard: Standard): string {
  const by = shown(standard);
  const rows = [...(standards.get(standard)?.statements ?? [])].map(([clause, statement]) =>
    row(standard, clause, statement, by.get(clause) ?? []),
  );
  return ['| statement | what it asks | shown by |', '| --- | --- | --- |', ...rows].join('\n');
}

const markers = (standard: Standard): [string, string] => [`<!-- table ${standard} -->`, `<!-- end ${standard} -->`];

/** The table that the page holds now. */
export function written(text: string, standard: Standard): string {
  const [start, end] = markers(standard);
  return text.slice(text.indexOf(start) + start.length, text.indexOf(end)).trim();
}

/** The page with its tables made anew. */
export function renewed(text: string): string {
  let renewedText = text;
  for (const standard of standards.keys()) {
    const [start, end] = markers(standard);
    const from = renewedText.indexOf(start) + start.length;
    renewedText = `${renewedText.slice(0, from)}\n\n${table(standard)}\n\n${renewedText.slice(renewedText.indexOf(end))}`;
  }
  return renewedText;
}
