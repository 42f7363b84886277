/** A form made of a JSON Schema: the model of the API is the form, so there is one truth. */
import { h } from '../dom.js';
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
  const groupOf = (part, path) => fieldGroup(part, { type, path, root: schema, groupOf });
  const whole = groupOf(schema, '');
  if (!Object.keys(schema.properties ?? {}).length) whole.element.append(h('p', { class: 'field-hint', text: t('form.nothing') }));

  /** The input, or null with the fields marked that keep it from being one. */
  const read = () => {
    try {
      return whole.read();
    } catch (error) {
      if (!(error instanceof FieldProblem)) throw error;
      error.focus();
      return null;
    }
  };

  /** Marks the fields of a 422; what belongs to none of them comes back. */
  const refused = (errors) => {
    const left = [];
    let first = null;
    for (const { loc, msg, type: kind } of errors) {
      // The body of a submit holds the input, and what it is the input of.
      const path = loc[1] === 'input' ? loc.slice(2) : loc.slice(1);
      const found = whole.refuse(path, (control) => tOr(`invalid.${kind}`, tOr(`invalid.field.${control}`, msg)));
      if (!found) left.push(`${loc.join('.')}: ${msg}`);
      first ??= found;
    }
    first?.focus();
    return left;
  };

  return {
    element: whole.element, read, refused, peek: whole.peek, write: whole.write,
    changed: (run) => ['input', 'change'].forEach((name) => whole.element.addEventListener(name, run)),
  };
}

/** The fields of an object: read, written and refused together. */
function fieldGroup(schema, form) {
  const inside = form.path ? `${form.path}.` : '';
  const fields = fieldsOf(schema, form.root).map((each) => field(each, { ...form, path: inside + each.name }));
  return {
    element: h('div', { class: 'fields' }, fields.map((each) => each.element)),
    read() {
      const values = {};
      let wrong = null;
      for (const each of fields) {
        try {
          const value = each.read();
          if (value !== undefined) values[each.name] = value;
        } catch (error) {
          if (!(error instanceof FieldProblem)) throw error;
          wrong ??= error;
        }
      }
      // Each field has said what is wrong with it; around them there is nothing to add.
      if (wrong) throw new FieldProblem('', wrong.focus);
      return values;
    },
    peek: () => Object.fromEntries(fields.map((each) => [each.name, each.peek()]).filter(([, value]) => value !== undefined)),
    write: (values) => fields.forEach((each) => each.write(values[each.name])),
    focus: () => fields[0]?.focus(),
    refuse: ([name, ...rest], sentence) => fields.find((each) => each.name === name)?.refuse(rest, sentence),
  };
}
