/** A form made of a JSON Schema: the model of the API is the form, so there is one truth. */
import { h, refill } from '../dom.js';
import { t, tOr } from '../i18n.js';
import { fieldsOf } from '../schema.js';
import { FieldProblem } from './controls.js';
import { field } from './field.js';

/**
 * @param {string} type the task type
 * @param {object} schema of its input
 * @returns {{element, read: () => (object|null), peek: () => object, write: (values) => void,
 *   refused: (errors) => string[], changed: (run) => void}}
 */
export function schemaForm(type, schema) {
  const fields = fieldsOf(schema).map((each) => ({ ...field(type, each), required: each.required }));
  const element = h('div', { class: 'fields' }, fields.map((each) => each.element));
  if (!fields.length) refill(element, h('p', { class: 'field-hint', text: t('form.nothing') }));

  /** The input, or null with the fields marked that keep it from being one. */
  const read = () => {
    const values = {};
    const failing = fields.filter((each) => !readOne(each, values));
    failing[0]?.focus();
    return failing.length ? null : values;
  };

  /** What has been entered so far, whatever is wrong with the rest. */
  const peek = () => {
    const values = {};
    for (const each of fields) {
      try {
        const value = each.read();
        if (value !== undefined) values[each.name] = value;
      } catch {
        // Not a value yet: left out of the line that is shown.
      }
    }
    return values;
  };

  /** Marks the fields of a 422; what belongs to none of them comes back. */
  const refused = (errors) => {
    const left = [];
    let first = null;
    for (const { loc, msg, type: kind } of errors) {
      const found = fields.find((each) => loc.includes(each.name));
      if (!found) left.push(`${loc.join('.')}: ${msg}`);
      found?.fail(tOr(`invalid.${kind}`, tOr(`invalid.field.${found.kind}`, msg)));
      first ??= found;
    }
    first?.focus();
    return left;
  };

  return {
    element, read, peek, refused,
    write: (values) => fields.forEach((each) => each.write(values[each.name])),
    changed: (run) => ['input', 'change'].forEach((name) => element.addEventListener(name, run)),
  };
}

function readOne(each, values) {
  try {
    const value = each.read();
    if (value === undefined && each.required) throw new FieldProblem(t('form.missing'));
    if (value !== undefined) values[each.name] = value;
    each.fail(null);
    return true;
  } catch (error) {
    if (!(error instanceof FieldProblem)) throw error;
    each.fail(error.message);
    return false;
  }
}
