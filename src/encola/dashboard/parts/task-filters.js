/** The filters over the list of tasks: states with their numbers, type, queue, user, id. */
import { get, taskPath } from '../api.js';
import { h, refill, setAttribute, setText } from '../dom.js';
import { short } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { notifyError } from '../notices.js';
import { AGES } from '../filter.js';
import { change } from '../router.js';
import { STATES } from '../states.js';
import { taskTypes, typeName } from '../types.js';

/** @returns {{element, update: (query) => void, count: (states) => void, focus: () => void}} */
export function taskFilters() {
  const chips = [null, ...STATES].map(chip);
  const type = select('type', t('filter.type'));
  const queue = select('queue', t('filter.queue'));
  const user = h('input', { class: 'input', type: 'search', placeholder: t('filter.user'), 'aria-label': t('filter.user'), on: { change: () => change({ user_id: user.value.trim() || null, task: null }) } });
  const age = select('age', t('filter.age'));
  const id = h('input', { class: 'input mono', type: 'search', placeholder: t('filter.id'), 'aria-label': t('filter.id'), on: { search: () => id.value || change({ search: null }) } });
  const search = h('form', { class: 'filter-id', role: 'search', on: { submit: (event) => { event.preventDefault(); openId(id); } } }, icon('search'), id);
  let query = {};
  age.fill(Object.keys(AGES).map((name) => [name, t(`age.${name}`)]));

  taskTypes().then((types) => {
    type.fill(types.map(({ name }) => [name, typeName(name)]), query.type);
    queue.fill([...new Set(types.map((each) => each.queue))].sort().map((name) => [name, name]), query.queue);
  }, () => {});

  return {
    element: h('div', { class: 'filters' }, h('div', { class: 'chips', role: 'group', 'aria-label': t('filter.state') }, chips.map((each) => each.element)), h('div', { class: 'filter-row' }, search, type.element, queue.element, age.element, user)),
    update(next) {
      query = next;
      chips.forEach((each) => each.mark(next.state ?? null));
      type.set(next.type);
      queue.set(next.queue);
      age.set(next.age);
      if (document.activeElement !== id) id.value = next.search ?? '';
      if (document.activeElement !== user) user.value = next.user_id ?? '';
    },
    count: (counts) => chips.forEach((each) => each.count(counts)),
  };
}

function chip(state) {
  const number = h('span', { class: 'chip-count' });
  const element = h('button', { class: 'chip', type: 'button', data: state ? { state } : {}, on: { click: () => change({ state, task: null }) } }, state && icon(state), h('span', { text: state ? t(`state.${state}`) : t('filter.all') }), number);
  return {
    element,
    mark: (chosen) => setAttribute(element, 'aria-pressed', String(chosen === state)),
    count: ({ states, total, exact }) => setText(number, short(state ? states[state] : total) + (exact ? '' : '+')),
  };
}

function select(name, label) {
  const element = h('select', { class: 'input', 'aria-label': label, on: { change: () => change({ [name]: element.value || null, task: null }) } }, h('option', { value: '', text: label }));
  const set = (value) => {
    const wanted = value ?? '';
    // A name out of the address that nobody has declared is shown all the same.
    if (wanted && ![...element.options].some((option) => option.value === wanted)) element.append(h('option', { value: wanted, text: wanted }));
    element.value = wanted;
  };
  return {
    element,
    set,
    fill(choices, chosen) {
      refill(element, h('option', { value: '', text: label }), choices.map(([value, text]) => h('option', { value, text })));
      set(chosen);
    },
  };
}

/** Opens the task of a whole id; what is none narrows the list. */
async function openId(input) {
  const id = input.value.trim();
  if (!id) return;
  try {
    const task = await get(taskPath(id));
    change({ task: task.task_id });
    input.value = '';
  } catch (error) {
    // No whole id: then a beginning of one.
    if (error.code === 'task_not_found') change({ search: id, task: null });
    else notifyError(error);
  }
}
