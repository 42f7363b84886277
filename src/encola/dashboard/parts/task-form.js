/**
 * Choose a type, fill in its form, submit. Used on the first screen, on its own screen, and to
 * edit the input of a task before it is run again.
 */
import { post } from '../api.js';
import { submitLine } from '../curl.js';
import { h, refill, setText } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { notify, notifyError } from '../notices.js';
import { link } from '../router.js';
import { hasForm, taskTypes, typeName } from '../types.js';
import { watch } from '../watch.js';
import { codeLine } from './code-line.js';
import { schemaForm } from './schema-form.js';
import { failed, loading } from './situations.js';

/**
 * @param {{type?: string, input?: object, preset?: object (strings, by field, of the first form), withCurl?: boolean, submit?: (type, input) => Promise,
 *   curl?: (type, input) => string, fixed?: boolean, label?: string, done?: (id) => void, chosen?: (type) => void}} options
 */
export function taskForm(options = {}) {
  const { withCurl = false, fixed = false, curl = submitLine, submit = (type, input) => post('/tasks', { type, input }) } = options;
  const place = h('div', { class: 'task-form' }, loading());
  const fields = h('div');
  const line = codeLine();
  const problem = h('p', { class: 'form-problem', role: 'alert' });
  const button = h('button', { class: 'button primary', type: 'submit' }, icon('new'), h('span', { text: options.label ?? t('form.submit') }));
  let types = [];
  let current = null;
  let form = null;

  const select = h('select', { class: 'input', id: `task-type-${options.fixed ? 'fixed' : 'any'}`, disabled: fixed, on: { change: () => { choose(select.value); options.chosen?.(select.value); } } });

  const choose = (name, input) => {
    current = types.find((type) => type.name === name) ?? types[0];
    select.value = current.name;
    form = schemaForm(current.name, current.input_schema);
    if (input) form.write({ ...form.peek(), ...input });
    refill(fields, form.element);
    form.changed(showLine);
    showLine();
    setText(problem, '');
  };

  const showLine = () => withCurl && line.update(curl(current.name, form.peek()));

  const send = async (event) => {
    event.preventDefault();
    setText(problem, '');
    const input = form.read();
    if (input === null) return;
    button.disabled = true;
    try {
      const { task_id: id } = await submit(current.name, input);
      watch(id, current.name);
      notify(t('submit.done'), { href: link('task', {}, id), hrefLabel: t('watch.open') });
      if (!options.input) choose(current.name);
      options.done?.(id);
    } catch (error) {
      if (error.code === 'validation' && error.errors) setText(problem, form.refused(error.errors).join(' · '));
      else notifyError(error);
    } finally {
      button.disabled = false;
    }
  };

  const load = async () => {
    try {
      types = (await taskTypes()).filter((type) => fixed || hasForm(type));
      refill(select, types.map(({ name }) => h('option', { value: name, text: typeName(name) })));
      choose(options.type ?? firstType(types), options.input ?? options.preset);
      refill(place, h(
        'form',
        { class: 'form', novalidate: true, on: { submit: send } },
        h('div', { class: 'field' }, h('label', { class: 'field-label', for: select.id, text: t('form.type') }), select),
        fields,
        problem,
        withCurl && h('div', { class: 'form-curl' }, h('p', { class: 'field-label', text: t('form.curl') }), line.element),
        h('div', { class: 'form-foot' }, button),
      ));
    } catch (error) {
      refill(place, failed(error, load));
    }
  };

  load();
  return { element: place, choose: (name) => types.length && name !== current?.name && choose(name) };
}

/** The lesson's order: mail first, where there is such a type. */
function firstType(types) {
  return (types.find(({ name }) => name === 'email') ?? types[0])?.name;
}
