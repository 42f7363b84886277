/** One field of a form: its label, its control, what is wrong with it. */
import { h, setAttribute, setText } from '../dom.js';
import { t, tOr } from '../i18n.js';
import { kindOf } from '../schema.js';
import { controlFor, FieldProblem } from './controls.js';
import { itemsControl, objectControl } from './nested.js';

/** Kinds that hold fields of their own. */
const NESTED = { object: objectControl, items: itemsControl };

/**
 * @param {{name: string, title: string, schema: object, required: boolean}} what
 * @param {{type: string, path: string, root: object, groupOf: Function}} form *type* and *path* are for the names in the reader's language
 * @returns {{element, name, kind, read: () => *, peek: () => *, write: (value) => void, focus: () => void,
 *   refuse: (path: Array, sentence: (kind) => string) => {focus}}}
 */
export function field({ name, title, schema, required }, { type, path, root, groupOf }) {
  const id = `field-${type}-${path}`.replace(/[^\w-]/g, '_');
  const label = tOr(`field.${type}.${path}`, title);
  const kind = kindOf(name, schema, root);
  const control = (NESTED[kind] ?? controlFor(kind))(schema, { id, name, label, required, type, path, root, groupOf });
  const problem = h('p', { class: 'field-problem', id: `${id}-problem` });
  const hint = schema.description && h('p', { class: 'field-hint', id: `${id}-hint`, text: schema.description });
  const words = [h('span', { text: label }), !required && h('span', { class: 'field-optional', text: t('form.optional') })];
  const element = NESTED[kind]
    ? h('fieldset', { class: `field field-${kind}` }, h('legend', { class: 'field-label' }, words), hint, control.element, problem)
    : h('div', { class: `field field-${kind}` }, h('label', { for: id, class: 'field-label' }, words), control.element, hint, problem);

  const describe = (failing) => {
    if (!control.input) return;
    setAttribute(control.input, 'aria-describedby', [hint && `${id}-hint`, failing && `${id}-problem`].filter(Boolean).join(' ') || null);
    setAttribute(control.input, 'aria-invalid', failing ? 'true' : null);
  };
  const fail = (sentence) => {
    setText(problem, sentence ?? '');
    describe(Boolean(sentence));
  };
  const focus = control.focus ?? (() => control.input.focus());
  const read = () => {
    try {
      const value = control.read();
      if (value === undefined && required) throw new FieldProblem(t('form.missing'), focus);
      fail(null);
      return value;
    } catch (error) {
      if (!(error instanceof FieldProblem)) throw error;
      fail(error.message);
      error.focus ??= focus;
      throw error;
    }
  };
  /** What has been entered so far; what is no value yet is left out. */
  const peek = () => {
    try {
      return (control.peek ?? control.read)();
    } catch {
      return undefined;
    }
  };
  const refuse = (rest, sentence) => {
    const inside = control.refuse?.(rest, sentence);
    if (inside) return inside;
    const words = sentence(kind);
    // Of a list that is written one a line: which.
    fail(typeof rest[0] === 'number' ? `${rest[0] + 1}: ${words}` : words);
    return { focus };
  };
  describe(false);
  element.addEventListener('input', () => fail(null));
  return { element, name, kind, read, peek, write: control.write, focus, refuse };
}
