/**
 * `npm run docs:config`: writes docs/configuration.md from the schema that validates the configuration, so that the two
 * cannot differ. test/config-reference.unit.ts holds the committed page to it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formats } from '../src/config-formats.js';
import { type ConfigSchema, configSchema } from '../src/config-schema.js';
import { flags } from '../src/flags.js';
import { RELOADED } from '../src/reload.js';

export const PAGE = join(import.meta.dirname, '../docs/configuration.md');

interface Key {
  /** `domains[].services.ID.delivery` */
  readonly path: string;
  readonly schema: ConfigSchema;
  readonly required: boolean;
}

/** A group of keys has a section of its own; what it holds deeper down stays in it, under longer paths. */
interface Section {
  readonly title: string;
  readonly text: string;
  readonly keys: readonly Key[];
}

const TYPES: ReadonlyMap<string, string> = new Map([
  ['string', 'text'],
  ['integer', 'whole number'],
  ['boolean', 'true or false'],
  ['array', 'list'],
  ['object', 'object'],
  ['null', 'null'],
]);

function typesOf({ type }: ConfigSchema): readonly string[] {
  return typeof type === 'string' ? [type] : (type ?? []);
}

/** The keys below one, in the order of the schema; a list's items are `[]`, what users name is `ID`. */
function keysBelow(path: string, schema: ConfigSchema): Key[] {
  const { properties, items, additionalProperties: others } = schema;
  if (items?.properties) return keysBelow(`${path}[]`, items);
  if (typeof others === 'object') return keysBelow(`${path}.ID`, others);
  return Object.entries(properties ?? {}).flatMap(([name, child]) => {
    const key = {
      path: path === '' ? name : `${path}.${name}`,
      schema: child,
      required: !!schema.required?.includes(name),
    };
    return [key, ...keysBelow(key.path, child)];
  });
}

function sections(): Section[] {
  const top = Object.entries(configSchema.properties ?? {});
  const isGroup = (schema: ConfigSchema): boolean => keysBelow('', schema).length > 0;
  const plain = top.filter(([, schema]) => !isGroup(schema));
  const server: Section = {
    title: 'The server',
    text: 'Addresses, and what concerns the whole process.',
    keys: plain.map(([path, schema]) => ({ path, schema, required: false })),
  };
  const groups = top.filter(([, schema]) => isGroup(schema));
  return [
    server,
    ...groups.map(([path, schema]) => ({
      title: `\`${path}\``,
      text: schema.description ?? '',
      keys: keysBelow(path, schema),
    })),
  ];
}

/** The unit, which is in the name of a key or said by its description. */
function unitOf({ path, schema }: Key): string {
  if (!typesOf(schema).includes('integer')) return '';
  if (/Ms$/.test(path)) return ', milliseconds';
  if (/Bytes$/.test(path)) return ', bytes';
  if (/PerSecond$/.test(path)) return ', in a second';
  return /\bin seconds\b/.test(schema.description ?? '') ? ', seconds' : '';
}

function typeCell(key: Key): string {
  const names = typesOf(key.schema).map((type) => TYPES.get(type) ?? type);
  const items = key.schema.items && !key.schema.items.properties ? ' of texts' : '';
  return `${names.join(' or ').replace('list', `list${items}`)}${unitOf(key)}`;
}

function defaultCell({ path, schema, required }: Key): string {
  if (required) return '*required*';
  if (schema.default !== undefined) return `\`${JSON.stringify(schema.default)}\``;
  return path.startsWith('domains[].limits.') ? 'as in `limits`' : '';
}

function boundsCell({ schema }: Key): string {
  const { minimum, maximum, items } = schema;
  if (minimum !== undefined)
    return maximum === Number.MAX_SAFE_INTEGER ? `from ${minimum}` : `${minimum} to ${maximum}`;
  const choice = schema.enum ?? items?.enum;
  if (choice) return choice.map((value) => `\`${value}\``).join(', ');
  const words = formats.get(schema.format ?? items?.format ?? '')?.message.replace(/^must (not )?be /, '$1');
  if (words !== undefined) return words;
  return schema.minLength === undefined ? '' : 'not empty';
}

/** The flag and the environment variable of a key; blank for those that only `--set` and `NEXTALK_SET` reach. */
function namesCell({ path }: Key): string {
  const isDomain = path === 'domains[].domain' || path === 'domains[].apikey';
  const flag = flags.find((known) => known.path === path || (known.name === 'domain' && isDomain));
  return flag ? `\`${flag.usage.split(' ')[0]}\`, \`${flag.env}\`` : '';
}

function reloadCell({ path }: Key): string {
  return path.startsWith('admin.token') || RELOADED.some((root) => new RegExp(`^${root}(\\W|$)`).test(path))
    ? 'SIGHUP'
    : 'restart';
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function table(keys: readonly Key[]): string {
  const head = ['Key', 'Meaning', 'Type, unit', 'Default', 'Bounds', 'Flag, environment', 'Changed by'];
  const rows = keys.map((key) =>
    row(
      `\`${key.path}\``,
      key.schema.description ?? '',
      typeCell(key),
      defaultCell(key),
      boundsCell(key),
      namesCell(key),
      reloadCell(key),
    ),
  );
  return [row(...head), row(...head.map(() => '---')), ...rows].join('\n');
}

const INTRODUCTION = `# Configuration

<!-- Made by \`npm run docs:config\` from src/config-schema.ts: do not edit by hand. -->

The server needs no configuration to start. What it is told comes from four places; the first that names a key decides:
a flag, an environment variable, the configuration file, the default. The file is JSON and is named with
\`--config FILE\` or \`NEXTALK_CONFIG\`:

\`\`\`json
{
  "host": "0.0.0.0",
  "publicUrl": "https://im.example.com",
  "trustProxy": true,
  "domains": [
    {
      "domain": "example.com",
      "apikey": "a long secret",
      "origins": ["https://example.com"],
      "services": { "help": { "delivery": "turns" } },
      "limits": { "requestsPerSecond": 200 }
    }
  ]
}
\`\`\`

- **Flags and environment.** The keys that are set most often have names of their own. Any other, where that column is
  blank, is set by \`--set PATH=VALUE\`, which may repeat, or by \`NEXTALK_SET\`, a list separated by semicolons:
  \`--set presence.graceMs=1000\`, \`NEXTALK_SET="poll.timeoutMs=20000;limits.roomMembers=500"\`. Domains come from
  \`--domain NAME:APIKEY\`, which may repeat, or \`NEXTALK_DOMAINS=a.com:k1,b.com:k2\`; they take the place of those in the file.
- **Mistakes.** A wrong configuration never starts: each mistake is one line with its path,
  \`domains[1].apikey: must be a string\`, and the exit code is 2. \`nextalk check --config FILE\` validates and exits.
- **Changes.** SIGHUP reads the file again and changes the keys marked so without dropping anyone; a file that does not
  validate is refused and the old one kept. The other keys keep their value until a restart, and the log names them.
- In a path, \`[]\` is an item of a list, by its number (\`domains[0].apikey\`), and \`ID\` a name of your own.
`;

/** The whole page. */
export function configurationPage(): string {
  const parts = sections().map(({ title, text, keys }) => `## ${title}\n\n${text}\n\n${table(keys)}\n`);
  return [INTRODUCTION, ...parts].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, configurationPage());
