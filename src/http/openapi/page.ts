/** The description as a page to read, made from the document alone. No script; its one style is beside it. */
import { errorBody } from '../../protocols/error-body.js';
import { CALLS, EXAMPLE_ROOM, EXAMPLE_TICKET } from './calls.js';
import { REFUSALS } from './errors.js';
import { blocks, escapeHtml, inline } from './markup.js';
import { STYLE } from './style.js';
import type { Content, JsonSchema, OpenApi, Operation, Parameter, Reference, Response } from './types.js';

export { STYLE } from './style.js';

interface Entry {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

function json(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}

function code(text: string): string {
  return `<pre tabindex="0"><code>${escapeHtml(text)}</code></pre>`;
}

function nameOf(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}

function schemaAt(document: OpenApi, schema: JsonSchema): JsonSchema {
  const { $ref: reference } = schema;
  return typeof reference === 'string' ? (document.components.schemas[nameOf(reference)] ?? {}) : schema;
}

/** A type in a few words. */
function typeOf(schema: JsonSchema): string {
  if (typeof schema.$ref === 'string') return `<a href="#${nameOf(schema.$ref)}">${nameOf(schema.$ref)}</a>`;
  if ('const' in schema) return `<code>${escapeHtml(JSON.stringify(schema.const))}</code>`;
  if (Array.isArray(schema.enum)) {
    const values = schema.enum.filter((value) => value !== '');
    return values.map((value) => `<code>${escapeHtml(String(value))}</code>`).join(' ');
  }
  if (Array.isArray(schema.anyOf)) return 'list';
  if (schema.type === 'array') return `list of ${typeOf((schema.items ?? {}) as JsonSchema)}`;
  const length = schema.maxLength === undefined ? '' : `, at most ${schema.maxLength}`;
  return `${schema.type === 'string' ? 'text' : String(schema.type)}${length}`;
}

interface Row {
  readonly name: string;
  readonly required: boolean;
  readonly schema: JsonSchema;
  readonly description: string;
}

function fields(rows: readonly Row[]): string {
  const items = rows.map(
    ({ name, required, schema, description }) =>
      `<div><dt><code>${escapeHtml(name)}</code>${required ? '<b>required</b>' : ''}<span>${typeOf(schema)}</span></dt>` +
      `<dd>${inline(description)}</dd></div>`,
  );
  return `<dl class="fields">${items.join('')}</dl>`;
}

function rowsOfSchema({ properties = {}, required = [] }: JsonSchema): Row[] {
  return Object.entries(properties as Readonly<Record<string, JsonSchema>>).map(([name, schema]) => ({
    name,
    required: (required as readonly string[]).includes(name),
    schema,
    description: typeof schema.description === 'string' ? schema.description : '',
  }));
}

function parameters(document: OpenApi, operation: Operation): string {
  const given: readonly Parameter[] = operation.parameters ?? [];
  const direct = given.length > 0 ? `<h4>Parameters</h4>${fields(given)}` : '';
  const body = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
  if (!body) return direct;
  const alternatives = (body.anyOf ?? [body]) as readonly JsonSchema[];
  const tables = alternatives.map((schema) => {
    const { description, ...resolved } = schemaAt(document, schema);
    const title = alternatives.length > 1 ? String(description).split(':')[0] : 'Parameters';
    return `<h4>${escapeHtml(title ?? '')}</h4>${fields(rowsOfSchema(resolved))}`;
  });
  return direct + tables.join('');
}

/** In single quotes nothing is special to a shell; the variables of the examples stand in double ones. */
function quote(pair: string): string {
  const filled = pair.replaceAll(EXAMPLE_TICKET, '$TICKET');
  if (filled !== pair) return `"${filled}"`;
  return /^[\w=:,.-]+$/.test(pair) ? pair : `'${pair.replaceAll("'", "'\\''")}'`;
}

/** A command that makes the call; its variables are explained at the head of the page. */
export function curl(path: string, method: string, example: Readonly<Record<string, string>>): string {
  const isPlain = (value: string) => /^[\w:,.-]+$/.test(value);
  const data = Object.entries(example).map(
    ([name, value]) => `${isPlain(value) ? '-d' : '--data-urlencode'} ${quote(`${name}=${value}`)}`,
  );
  const url = `"$NEXTALK${path.replace('{roomId}', EXAMPLE_ROOM)}"`;
  const start = method === 'get' ? 'curl -G' : method === 'delete' ? 'curl -G -X DELETE' : 'curl';
  return [`${start} -u "$DOMAIN:$APIKEY"`, ...data, url].join(' \\\n  ');
}

function requests({ method, path, operation }: Entry): string {
  const calls = Object.values(CALLS).filter(
    (call) =>
      call.operationId === operation.operationId ||
      Object.values(operation.requestBody?.content ?? {}).some(({ examples }) =>
        Object.values(examples).some(({ value }) => value === call.example),
      ),
  );
  return calls.map((call) => `<h5>${escapeHtml(call.name)}</h5>${code(curl(path, method, call.example))}`).join('');
}

function contents(content: Content): string {
  return Object.entries(content)
    .flatMap(([type, { examples }]) =>
      Object.values(examples).map(({ summary, value }) => {
        const isPlain = summary === undefined || type === 'application/json';
        return `<p class="caption">${escapeHtml([summary, isPlain ? '' : type].filter(Boolean).join(', '))}</p>${code(json(value))}`;
      }),
    )
    .join('');
}

function isReference(response: Response | Reference): response is Reference {
  return '$ref' in response;
}

function responses(document: OpenApi, { responses: all }: Operation): string {
  const rows = Object.entries(all).map(([status, response]) => {
    const { description, content } = isReference(response)
      ? (document.components.responses[nameOf(response.$ref)] as Response)
      : response;
    const isGood = Number(status) < 400;
    const line = `<code class="status ${isGood ? 'good' : 'bad'}">${status}</code> ${inline(description)}`;
    if (isGood) return `<p class="answer">${line}</p>${content ? contents(content) : ''}`;
    const body = Object.values(content?.['application/json']?.examples ?? {})[0]?.value;
    return `<p class="answer">${line}${body === undefined ? '' : `<br><code class="body">${escapeHtml(JSON.stringify(body))}</code>`}</p>`;
  });
  return rows.join('');
}

function entry(document: OpenApi, found: Entry): string {
  const { method, path, operation } = found;
  const example = requests(found);
  return `<article id="${operation.operationId}">
<h3>${escapeHtml(operation.summary)}</h3>
<p class="call"><b class="${method}">${method.toUpperCase()}</b> <code>${escapeHtml(path)}</code></p>
${blocks(operation.description)}${parameters(document, operation)}
${example === '' ? '' : `<h4>Request</h4>${example}`}
<h4>Answer</h4>${responses(document, operation)}
</article>`;
}

function entries(document: OpenApi): Entry[] {
  const listed = [
    ...Object.entries(document.paths),
    ...Object.entries(document.webhooks).map(([name, item]) => [`webhook ${name}`, item] as const),
  ];
  return listed.flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method, path, operation }) as Entry),
  );
}

/** What the examples' variables stand for. */
function setting(document: OpenApi): string {
  const url = document.servers?.[0]?.url ?? 'http://127.0.0.1:8080';
  const command = `NEXTALK=${url}\nDOMAIN=localhost\nAPIKEY=public\nTICKET=…  # the ticket that ONLINE answered`;
  return `<h4>The examples</h4><p>The commands are for a shell with <code>curl</code>. They use these variables:</p>${code(command)}`;
}

function errors(): string {
  const order = Object.values(REFUSALS).map(
    ({ error, when }) =>
      `<li><code class="status bad">${error.status}</code> ${inline(when)}<br><code class="body">${escapeHtml(errorBody(error))}</code></li>`,
  );
  return `<section id="errors"><h2>Errors</h2><p>A refusal is JSON of one form, whatever the call; ONLINE adds
<code>"success":false</code>. They are looked for in this order, except that a body which cannot be read is found before the
authentication is looked at:</p><ol class="errors">${order.join('')}</ol></section>`;
}

function packets(document: OpenApi): string {
  const shown = Object.entries(document.components.schemas).filter(([name]) => !name.endsWith('Call'));
  const parts = shown.map(
    ([name, schema]) =>
      `<article id="${name}"><h3>${name}</h3>${blocks(String(schema.description ?? ''))}${fields(rowsOfSchema(schema))}</article>`,
  );
  return `<section id="schemas"><h2>Answers and packets</h2>${parts.join('')}</section>`;
}

function navigation(document: OpenApi, all: readonly Entry[]): string {
  const groups = document.tags.map(({ name }) => {
    const links = all
      .filter(({ operation }) => operation.tags?.includes(name))
      .map(({ operation }) => `<a href="#${operation.operationId}">${escapeHtml(operation.summary)}</a>`);
    return `<p>${escapeHtml(name)}</p>${links.join('')}`;
  });
  const rest = '<p>Reference</p><a href="#errors">Errors</a><a href="#schemas">Answers and packets</a>';
  return `<nav aria-label="Calls"><a class="title" href="#top">${escapeHtml(document.info.title)} ${escapeHtml(document.info.version)}</a>
${groups.join('')}${rest}<p>Machines</p><a href="openapi.json">openapi.json</a></nav>`;
}

/** The whole page. */
export function page(document: OpenApi): string {
  const all = entries(document);
  const sections = document.tags.map(({ name, description }) => {
    const own = all.filter(({ operation }) => operation.tags?.includes(name));
    return `<section><h2>${escapeHtml(name)}</h2>${blocks(description)}${own.map((found) => entry(document, found)).join('')}</section>`;
  });
  const { title, summary, description } = document.info;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} API</title>
<style>${STYLE}</style>
</head>
<body id="top">
${navigation(document, all)}
<main>
<h1>${escapeHtml(title)} API</h1>
<p class="lead">${escapeHtml(summary)}</p>
${blocks(description)}${setting(document)}
${sections.join('\n')}
${errors()}
${packets(document)}
</main>
</body>
</html>
`;
}
