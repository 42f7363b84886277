/** One line of the list of tasks. */
import { h, setAttribute, setText } from '../dom.js';
import { duration } from '../format.js';
import { t } from '../i18n.js';
import { change, link } from '../router.js';
import { RUNNING } from '../states.js';
import { typeName } from '../types.js';
import { badge } from './badge.js';
import { inputSummary } from './input-summary.js';
import { moment, updateMoment } from './moment.js';
import { shareOf } from './progress.js';

/** The last part of a long id: in ids that grow with time it is the part that differs. */
export const shortId = (id) => (id.length > 13 ? `…${id.slice(-8)}` : id);

/** @param {{picked: Set<string>, pick: (id, wanted) => void, open: () => string|null}} selection `open` is the id beside the list */
export function taskRow(task, selection) {
  const id = task.task_id;
  const parts = {
    badge: badge(task.state),
    type: h('span', { class: 'row-type' }),
    user: h('span', { class: 'row-user' }),
    queue: h('span', { class: 'row-queue' }),
    time: moment(task.created_at),
    span: h('span', { class: 'row-span' }),
    meter: h('span', { class: 'row-meter', 'aria-hidden': 'true' }),
    input: inputSummary('row-input'),
    tick: h('input', { type: 'checkbox', class: 'tick', 'aria-label': t('select.one', { id }), on: { change: (event) => selection.pick(id, event.target.checked) } }),
  };
  const anchor = h('a', { class: 'row-id mono', href: link('task', {}, id), title: id, text: shortId(id) });
  anchor.addEventListener('click', (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    change({ task: id });
  });
  const element = h(
    'tr',
    { class: 'row', data: { id } },
    h('td', { class: 'cell-tick' }, parts.tick),
    h('td', { class: 'cell-state' }, parts.badge.element),
    h('td', { class: 'cell-type' }, parts.type, anchor, parts.input.element),
    h('td', { class: 'cell-queue' }, parts.queue),
    h('td', { class: 'cell-user' }, parts.user),
    h('td', { class: 'cell-time' }, parts.time),
    h('td', { class: 'cell-span' }, parts.meter, parts.span),
  );
  element.addEventListener('click', (event) => {
    if (!event.target.closest('a, input, button, label') && !getSelection().toString()) change({ task: id });
  });
  let shown = null;
  const update = (next) => {
    parts.tick.checked = selection.picked.has(id);
    setAttribute(element, 'aria-current', selection.open() === id ? 'true' : null);
    // Only its span goes on by itself.
    if (next !== shown) draw(next);
    else if (RUNNING.has(next.state)) setText(parts.span, spanOf(next));
    shown = next;
  };
  const draw = (next) => {
    parts.badge.update(next.state);
    setText(parts.type, typeName(next.type));
    setText(parts.user, next.user_id ?? '');
    setText(parts.queue, next.queue);
    parts.input.update(next.input);
    updateMoment(parts.time, next.created_at);
    setText(parts.span, spanOf(next));
    const share = RUNNING.has(next.state) ? shareOf(next.progress) : null;
    parts.meter.hidden = share === null;
    parts.meter.style.setProperty('--share', share ?? 0);
    setAttribute(element, 'data-state', next.state);
  };
  return { element, update };
}

/** How long it ran, or has been running. */
export function spanOf({ started_at: start, completed_at: end, state }) {
  if (!start) return '';
  if (end) return duration(new Date(end) - new Date(start));
  return RUNNING.has(state) ? duration(Date.now() - new Date(start)) : '';
}
