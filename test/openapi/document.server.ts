import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { CLOSE } from '../../src/errors.js';
import { openApiDocument } from '../../src/http/openapi/document.js';
import type { Content, JsonSchema, OpenApi, Operation } from '../../src/http/openapi/types.js';
import { findRoute, forMethod, TEMPLATES } from '../../src/http/routes.js';
import { SCHEMAS } from '../../src/protocols/schemas.js';
import { testServer } from '../support/server.js';
import { CALLS, operationAt, schemaOf } from './support.js';

const document = openApiDocument('6.0.0', null);

t.test('the served document is one of OpenAPI 3.1', async (t) => {
  const server = await testServer(t);
  const { body } = await server.request({ path: '/v5/openapi.json' });
  const { valid, errors } = await new Validator().validate(body as Record<string, unknown>);
  t.ok(valid, JSON.stringify(errors));
  t.match((body as OpenApi).openapi, /^3\.1\./);
  const broken = { ...(body as OpenApi), paths: { '/v5/messages': { post: { responses: 'none' } } } };
  t.notOk((await new Validator().validate(broken)).valid, 'the meta schema does refuse');
});

t.test('a configured public URL is the server of the document', async (t) => {
  t.strictSame(openApiDocument('1', 'https://im.example.com').servers, [{ url: 'https://im.example.com' }]);
  t.equal(document.servers, undefined);
});

t.test('every call of the contract is an operation, and every route is a call of the contract', async (t) => {
  for (const [call, { method, path }] of Object.entries(CALLS)) t.ok(operationAt(document, method, path), call);
  const listed = Object.entries(document.paths).flatMap(([path, item]) => Object.keys(item).map((m) => `${m} ${path}`));
  const calls = Object.values(CALLS).map(({ method, path }) => `${method.toLowerCase()} ${path}`);
  const others = ['post /v5/messages/batch'];
  const connections = ['get /v5/packets', 'post /v5/packets', 'get /v5/events', 'get /v5/wsocket', 'get /mqtt'];
  t.strictSame(listed.sort(), [...new Set([...calls, ...connections, ...others])].sort());
  t.equal(TEMPLATES.size, new Set(Object.values(CALLS).map(({ path }) => path)).size + others.length);
  for (const { method, path } of Object.values(CALLS)) {
    const found = findRoute(path.replace('{roomId}', 'r1'));
    t.equal(found && forMethod(found, method).route.method, method, `${path} is served`);
  }
});

t.test('every property of a schema is a parameter of its operation, described and as required', async (t) => {
  for (const [call, { required, properties }] of Object.entries(SCHEMAS)) {
    const { fields, required: documented } = schemaOf(document, call as keyof typeof SCHEMAS);
    t.strictSame([...documented].sort(), [...required].sort(), `${call} requires the same`);
    const credentials = ['domain', 'apikey'];
    const names = [...fields.keys()].filter((name) => !credentials.includes(name));
    t.strictSame(names.sort(), Object.keys(properties).sort(), `${call} has the same parameters`);
    for (const [name, { description }] of fields) t.ok(description, `${call}: ${name} is described`);
  }
});

t.test('every operation can be told apart, authenticates and names its refusals', async (t) => {
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item) as Operation[]);
  const ids = operations.map(({ operationId }) => operationId);
  t.equal(new Set(ids).size, ids.length);
  for (const { operationId, security, tags } of operations) {
    t.ok(security && security.length > 0, `${operationId} says who may call`);
    t.ok(
      document.tags.some(({ name }) => tags?.includes(name)),
      `${operationId} has a place`,
    );
  }
  for (const { method, path, ticket, refused = [] } of Object.values(CALLS)) {
    const codes = Object.keys(operationAt(document, method, path)?.responses ?? {});
    const wanted = [
      '200',
      '400',
      '401',
      ...refused,
      ...(ticket ? ['404'] : []),
      ...(method === 'POST' ? ['413', '415'] : []),
    ];
    t.strictSame(codes, [...wanted, '429', '503'], path);
  }
  const description = document.paths['/v5/wsocket']?.get?.description ?? '';
  for (const { webSocketCode } of Object.values(CLOSE)) t.ok(description.includes(`\`${webSocketCode}\``));
});

/** Every example under a value, with the schema that it is an example of. */
function examples(value: unknown): (readonly [schema: JsonSchema, value: unknown])[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('schema' in value && 'examples' in value) {
    const { schema, examples: listed } = value as Content[string];
    return Object.values(listed).map((example) => [schema, example.value] as const);
  }
  return Object.values(value).flatMap(examples);
}

t.test('every example fits its schema', async (t) => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'https://nextalk.test/api', components: document.components });
  const found = examples([document.paths, document.webhooks, document.components.responses]);
  t.ok(found.length > 40, `${found.length} examples`);
  for (const [schema, value] of found) {
    const anchored = JSON.stringify(schema).replaceAll('"#/', '"https://nextalk.test/api#/');
    const validate = ajv.compile(JSON.parse(anchored));
    t.ok(validate(value), `${JSON.stringify(value)}: ${JSON.stringify(validate.errors)}`);
  }
});
