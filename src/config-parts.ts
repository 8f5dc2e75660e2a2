/** What the schema of the configuration is put together from. */

export interface Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly items?: Schema;
}

export const whole = (minimum: number, maximum: number, byDefault: number, description: string): Schema => ({
  type: 'integer',
  minimum,
  maximum,
  default: byDefault,
  description,
});

export const flag = (description: string): Schema => ({ type: 'boolean', default: false, description });

export const text = (description: string): Schema => ({ type: 'string', minLength: 1, description });

export const group = (description: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  default: {},
  additionalProperties: false,
  description,
  properties,
});

export const port = (byDefault: number, description: string): Schema => whole(-1, 65535, byDefault, description);

export const most = Number.MAX_SAFE_INTEGER;
export const longestMs = 24 * 60 * 60 * 1000;
