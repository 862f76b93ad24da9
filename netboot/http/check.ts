/** Checks a body or a query against its schema and says what is wrong in the contract's words (bty-contract 3.1). */
import type { TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { Check, Errors } from 'typebox/value';
import { type Fault, Problem } from './problem.ts';

interface Form {
  readonly type?: string;
  readonly const?: unknown;
  readonly anyOf?: readonly Form[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Form>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
}
type Location = readonly (string | number)[];

const compiled = new WeakMap<TSchema, (value: unknown) => boolean>();

/** As `Check`, by a function that is made of the schema once: the schemas of the contract live as long as the process. */
function isFitting(schema: TSchema, value: unknown): boolean {
  let check = compiled.get(schema);
  if (check === undefined) {
    const validator = Compile(schema);
    check = (one) => validator.Check(one);
    compiled.set(schema, check);
  }
  return check(value);
}

/** `value` when it fits `schema`; else the 422 that says why. */
export function checked<Value>(schema: TSchema, value: unknown, where: 'body' | 'query' | 'path'): Value {
  if (isFitting(schema, value)) return value as Value;
  const faults = faultsOf(schema as unknown as Form, value, [where]);
  if (faults.length > 0) throw new Problem(422, faults);
  const others = Errors(schema, value).slice(0, 20);
  throw new Problem(
    422,
    others.map((error) => ({
      type: 'value_error',
      loc: [where, ...error.instancePath.split('/').slice(1)],
      msg: `Value error, ${error.message}`,
      input: bounded(value),
    })),
  );
}

function faultsOf(schema: Form, value: unknown, loc: Location): Fault[] {
  if (schema.anyOf) return faultsOfUnion(schema.anyOf, value, loc);
  if ('const' in schema) return schema.const === value ? [] : [literalFault([schema], value, loc)];
  switch (schema.type) {
    case 'object':
      return faultsOfObject(schema, value, loc);
    case 'string':
      return faultsOfString(schema, value, loc);
    case 'boolean':
      return typeof value === 'boolean'
        ? []
        : [fault('bool_type', loc, 'Input should be a valid boolean', value)];
    case 'integer':
    case 'number':
      return faultsOfNumber(schema, value, loc);
    case 'array':
      return Array.isArray(value) ? [] : [fault('list_type', loc, 'Input should be a valid list', value)];
    default:
      return [];
  }
}

function faultsOfUnion(members: readonly Form[], value: unknown, loc: Location): Fault[] {
  if (members.every((member) => 'const' in member)) {
    return members.some((member) => member.const === value) ? [] : [literalFault(members, value, loc)];
  }
  if (members.some((member) => faultsOf(member, value, loc).length === 0 && fits(member, value))) return [];
  const inner = members.filter((member) => member.type !== 'null');
  const [only] = inner;
  return inner.length === 1 && only
    ? faultsOf(only, value, loc)
    : [fault('value_error', loc, 'Value error, the value fits none of the allowed forms', value)];
}

function fits(member: Form, value: unknown): boolean {
  return Check(member as unknown as TSchema, value);
}

function literalFault(members: readonly Form[], value: unknown, loc: Location): Fault {
  const names = members.map((member) => `'${String(member.const)}'`);
  const last = names.pop() ?? '';
  const expected = names.length === 0 ? last : `${names.join(', ')} or ${last}`;
  return { ...fault('literal_error', loc, `Input should be ${expected}`, value), ctx: { expected } };
}

function faultsOfObject(schema: Form, value: unknown, loc: Location): Fault[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const msg = 'Input should be a valid dictionary or object to extract fields from';
    return [fault('model_attributes_type', loc, msg, value)];
  }
  const given = value as Record<string, unknown>;
  const properties = schema.properties ?? {};
  const faults: Fault[] = [];
  for (const [key, property] of Object.entries(properties)) {
    if (!Object.hasOwn(given, key)) {
      if (schema.required?.includes(key))
        faults.push(fault('missing', [...loc, key], 'Field required', value));
    } else faults.push(...faultsOf(property, given[key], [...loc, key]));
  }
  if (schema.additionalProperties === false) {
    for (const key of Object.keys(given).slice(0, 50)) {
      if (!Object.hasOwn(properties, key))
        faults.push(
          fault('extra_forbidden', [...loc, key.slice(0, 200)], 'Extra inputs are not permitted', given[key]),
        );
    }
  }
  return faults;
}

function faultsOfString(schema: Form, value: unknown, loc: Location): Fault[] {
  if (typeof value !== 'string') return [fault('string_type', loc, 'Input should be a valid string', value)];
  const { minLength, maxLength, pattern } = schema;
  const letters = (count: number) => `${count} character${count === 1 ? '' : 's'}`;
  if (minLength !== undefined && value.length < minLength) {
    const msg = `String should have at least ${letters(minLength)}`;
    return [{ ...fault('string_too_short', loc, msg, value), ctx: { min_length: minLength } }];
  }
  if (maxLength !== undefined && value.length > maxLength) {
    const msg = `String should have at most ${letters(maxLength)}`;
    return [{ ...fault('string_too_long', loc, msg, value), ctx: { max_length: maxLength } }];
  }
  if (pattern !== undefined && !new RegExp(pattern).test(value)) {
    const msg = `String should match pattern '${pattern}'`;
    return [{ ...fault('string_pattern_mismatch', loc, msg, value), ctx: { pattern } }];
  }
  return [];
}

function faultsOfNumber(schema: Form, value: unknown, loc: Location): Fault[] {
  const word = schema.type === 'integer' ? 'int' : 'float';
  const noun = word === 'int' ? 'integer' : 'number';
  if (typeof value !== 'number')
    return [fault(`${word}_type`, loc, `Input should be a valid ${noun}`, value)];
  if (schema.type === 'integer' && !Number.isInteger(value)) {
    const msg = 'Input should be a valid integer, got a number with a fractional part';
    return [fault('int_from_float', loc, msg, value)];
  }
  const { minimum, maximum } = schema;
  if (minimum !== undefined && value < minimum) {
    const msg = `Input should be greater than or equal to ${minimum}`;
    return [{ ...fault('greater_than_equal', loc, msg, value), ctx: { ge: minimum } }];
  }
  if (maximum !== undefined && value > maximum) {
    const msg = `Input should be less than or equal to ${maximum}`;
    return [{ ...fault('less_than_equal', loc, msg, value), ctx: { le: maximum } }];
  }
  return [];
}

function fault(type: string, loc: Location, msg: string, input: unknown): Fault {
  return { type, loc, msg, input: bounded(input) };
}

/** What came in, told back only as far as a person needs it. */
function bounded(input: unknown): unknown {
  if (typeof input === 'string') return input.slice(0, 500);
  if (typeof input !== 'object' || input === null) return input;
  return JSON.stringify(input).length <= 2000 ? input : {};
}

/** A query string by its schema: numbers are read from their digits. Keys that it does not name are ignored. */
export function checkedQuery<Value>(schema: TObject, query: Readonly<Record<string, unknown>>): Value {
  const given: Record<string, unknown> = {};
  const faults: Fault[] = [];
  for (const [key, property] of Object.entries(schema.properties)) {
    const raw = query[key];
    const text = Array.isArray(raw) ? raw.at(-1) : raw;
    if (text === undefined) continue;
    const type = (property as Form).type;
    if (type === 'integer') {
      if (typeof text === 'string' && /^[+-]?\d{1,15}$/.test(text.trim())) given[key] = Number(text);
      else {
        const msg = 'Input should be a valid integer, unable to parse string as an integer';
        faults.push(fault('int_parsing', ['query', key], msg, text));
      }
    } else given[key] = text;
  }
  if (faults.length > 0) throw new Problem(422, faults);
  return checked<Value>(schema, given, 'query');
}
