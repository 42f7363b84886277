/** What a JSON Schema says of one field, as a form needs to know it. */

/** `$ref` followed, a null that stands beside another type left out. */
export function resolve(schema, root) {
  let found = schema;
  for (let depth = 0; found.$ref && depth < 10; depth += 1) {
    const { $ref, ...beside } = found;
    const target = $ref.replace(/^#\//, '').split('/').reduce((part, key) => part?.[key], root) ?? {};
    found = { ...target, ...beside };
  }
  const choices = found.anyOf ?? found.oneOf;
  if (choices) {
    const real = choices.filter((choice) => choice.type !== 'null');
    const { anyOf, oneOf, ...beside } = found;
    if (real.length === 1) return { ...resolve(real[0], root), ...beside, nullable: real.length < choices.length };
  }
  if (found.allOf?.length === 1) {
    const { allOf, ...beside } = found;
    return { ...resolve(allOf[0], root), ...beside };
  }
  return found;
}

/**
 * @returns {'choice'|'switch'|'whole'|'number'|'wordOrNumber'|'email'|'date'|'datetime'|'time'|'file'|'long'|'text'|'list'|'json'}
 */
export function kindOf(name, schema) {
  if (schema.enum || schema.const !== undefined) return 'choice';
  if (schema.type === 'boolean') return 'switch';
  if (schema.type === 'integer') return 'whole';
  if (schema.type === 'number') return 'number';
  if (schema.type === 'string') return textKind(name, schema);
  if (isWordOrNumber(schema)) return 'wordOrNumber';
  const items = schema.items ?? {};
  if (schema.type === 'array' && items.type === 'string') return 'list';
  return 'json';
}

/** A text or a whole number, such as an id that is a number here and a name there. */
const isWordOrNumber = ({ anyOf }) => anyOf?.length === 2 && ['string', 'integer'].every((type) => anyOf.some((each) => each.type === type));

const FORMATS = { email: 'email', date: 'date', 'date-time': 'datetime', time: 'time' };

function textKind(name, schema) {
  if (FORMATS[schema.format]) return FORMATS[schema.format];
  if (/(^|_)file_path$/.test(name) || schema.format === 'file-path') return 'file';
  if (/^(body|text|message|content|description|html)$/.test(name) || schema.maxLength > 1000) return 'long';
  return 'text';
}

/** @returns {Array<{name: string, schema: object, required: boolean}>} */
export function fieldsOf(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, part]) => ({
    name,
    schema: resolve(part, schema),
    required: required.has(name),
  }));
}
