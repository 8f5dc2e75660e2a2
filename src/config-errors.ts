/** What is wrong with a configuration, in words: a line for each mistake, which begins with its path. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { formats } from './config-formats.js';

function newCompiler(): Ajv {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    allowUnionTypes: true,
    verbose: true,
    strictRequired: false,
    // A validator runs only once or twice: optimizing its code and checking the schemas themselves would take longer than running it.
    code: { optimize: false },
    meta: false,
    validateSchema: false,
  });
  for (const [name, { check }] of formats) ajv.addFormat(name, check);
  return ajv;
}

/** What is a `T` by a schema, completed with the defaults of the schema; or a line for each mistake. */
export type Validated<T> = { readonly valid: T } | { readonly errors: string[] };

let compiler: Ajv | undefined;

/**
 * Answers what validates by a schema, and completes its argument. The schema is compiled when it is first needed: workers, which are given a
 * configuration that is valid, do without its code.
 */
export function validatorOf<T>(schema: object): (data: unknown) => Validated<T> {
  let validate: ValidateFunction<T> | undefined;
  return (data) => {
    compiler ??= newCompiler();
    validate ??= compiler.compile<T>(schema);
    return validate(data) ? { valid: data } : { errors: [...new Set((validate.errors ?? []).map(explain))] };
  };
}

/** One line for a schema error: where, and what is wrong with it. Never the value, which may be a secret. */
function explain(error: ErrorObject): string {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (error.keyword === 'required') return `${pathText([...path, String(error.params.missingProperty)])}: is missing`;
  if (error.keyword === 'additionalProperties') {
    return `${pathText([...path, String(error.params.additionalProperty)])}: is not a known key`;
  }
  if (error.propertyName !== undefined) return `${pathText([...path, error.propertyName])}: ${complaint(error)}`;
  if (error.keyword === 'propertyNames')
    return `${pathText([...path, String(error.params.propertyName)])}: ${nameRule}`;
  return `${pathText(path)}: ${complaint(error)}`;
}

const nameRule = formats.get('id')?.message ?? 'is no valid name';

function pathText(parts: readonly string[]): string {
  const text = parts.map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join('');
  return text === '' ? 'configuration' : text.replace(/^\./, '');
}

const typeNames: ReadonlyMap<string, string> = new Map([
  ['string', 'a string'],
  ['integer', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'an object'],
  ['null', 'null'],
]);

function complaint(error: ErrorObject): string {
  const { keyword, params } = error;
  if (keyword === 'type') {
    const types: readonly string[] = Array.isArray(params.type) ? params.type : [String(params.type)];
    return `must be ${types.map((type) => typeNames.get(type) ?? type).join(' or ')}`;
  }
  if (keyword === 'format') return formats.get(String(params.format))?.message ?? 'is malformed';
  if (keyword === 'minimum') return `must be at least ${params.limit}`;
  if (keyword === 'maximum') return `must be at most ${params.limit}`;
  if (keyword === 'minLength' || keyword === 'minItems') return 'must not be empty';
  if (keyword === 'uniqueItems') return 'must not name the same thing twice';
  if (keyword === 'enum') return `must be ${params.allowedValues.map((v: string) => JSON.stringify(v)).join(' or ')}`;
  return error.message ?? 'is not valid';
}
