/** One field of a form: its label, its control, what is wrong with it. */
import { h, setAttribute, setText } from '../dom.js';
import { t, tOr } from '../i18n.js';
import { controlFor } from './controls.js';

/**
 * @param {string} type the task type, for the name of the field in the reader's language
 * @returns {{element, name, read: () => *, write: (value) => void, fail: (sentence|null) => void}}
 */
export function field(type, { name, schema, required }) {
  const id = `field-${type}-${name}`.replace(/[^\w-]/g, '_');
  const label = tOr(`field.${type}.${name}`, schema.title ?? name);
  const control = controlFor(name, schema, { id, required, type });
  const problem = h('p', { class: 'field-problem', id: `${id}-problem` });
  const hint = schema.description && h('p', { class: 'field-hint', id: `${id}-hint`, text: schema.description });
  const element = h(
    'div',
    { class: `field field-${control.kind}` },
    h('label', { for: id, class: 'field-label' }, h('span', { text: label }), !required && h('span', { class: 'field-optional', text: t('form.optional') })),
    control.element,
    hint,
    problem,
  );
  const describe = (failing) => {
    setAttribute(control.input, 'aria-describedby', [hint && `${id}-hint`, failing && `${id}-problem`].filter(Boolean).join(' ') || null);
    setAttribute(control.input, 'aria-invalid', failing ? 'true' : null);
  };
  const fail = (sentence) => {
    setText(problem, sentence ?? '');
    describe(Boolean(sentence));
  };
  describe(false);
  element.addEventListener('input', () => fail(null));
  return { element, name, kind: control.kind, read: control.read, write: control.write, fail, focus: () => control.input.focus() };
}
