/** What a JSON Schema says of one field, as a form needs to know it. */

/** `$ref` followed, a null that stands beside other types left out. */
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
    const nullable = real.length < choices.length;
    return real.length === 1 ? { ...resolve(real[0], root), ...beside, nullable } : { ...beside, anyOf: real, nullable };
  }
  if (found.allOf?.length === 1) {
    const { allOf, ...beside } = found;
    return { ...resolve(allOf[0], root), ...beside };
  }
  return found;
}

/**
 * *schema* and *root*, in which its references lead on.
 * @returns {'choice'|'switch'|'whole'|'number'|'decimal'|'wordOrNumber'|'email'|'date'|'datetime'|'time'|'file'|'long'|'text'|'list'|'object'|'items'|'json'}
 */
export function kindOf(name, schema, root = schema) {
  if (schema.enum || schema.const !== undefined) return 'choice';
  if (schema.type === 'boolean') return 'switch';
  if (schema.type === 'integer') return 'whole';
  if (schema.type === 'number') return 'number';
  if (schema.type === 'string') return textKind(name, schema);
  if (isEither(schema, 'string', 'integer')) return 'wordOrNumber';
  if (isEither(schema, 'string', 'number')) return 'decimal';
  if (schema.type === 'array' && schema.items) return listKind(resolve(schema.items, root));
  return schema.type === 'object' && schema.properties ? 'object' : 'json';
}

/** Such as an id that is a number here and a name there, or a number of which no digit may be lost. */
const isEither = ({ anyOf }, ...types) => anyOf?.length === 2 && types.every((type) => anyOf.some((each) => each.type === type));

/** Words and numbers are written one a line; choices and objects have controls of their own. */
function listKind(item) {
  if (item.enum || (item.type === 'object' && item.properties)) return 'items';
  return ['string', 'integer', 'number'].includes(item.type) ? 'list' : 'json';
}

const FORMATS = { email: 'email', date: 'date', 'date-time': 'datetime', time: 'time' };

function textKind(name, schema) {
  if (FORMATS[schema.format]) return FORMATS[schema.format];
  if (/(^|_)file_path$/.test(name) || schema.format === 'file-path') return 'file';
  if (/^(body|text|message|content|description|html)$/.test(name) || schema.maxLength > 1000) return 'long';
  return 'text';
}

/** "Ship To" of `ship_to`, as Pydantic says it; what a model is called is no name for a field that holds one. */
const titled = (name) => name.split('_').filter(Boolean).map((word) => word[0].toUpperCase() + word.slice(1)).join(' ');

/**
 * @param {object} [root] in which the references of *schema* lead on
 * @returns {Array<{name: string, title: string, schema: object, required: boolean}>}
 */
export function fieldsOf(schema, root = schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, part]) => ({
    name,
    title: part.title ?? titled(name),
    schema: resolve(part, root),
    required: required.has(name),
  }));
}
