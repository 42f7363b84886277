/** A task on the first screen: id, state, type, time, progress, result, error, refresh, cancel. */
import { cancelTask } from '../actions.js';
import { get, taskPath } from '../api.js';
import { h, refill, setAttribute, setText } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { notifyError } from '../notices.js';
import { errorOf } from '../reasons.js';
import { link } from '../router.js';
import { isFinished } from '../states.js';
import { typeName } from '../types.js';
import { badge } from './badge.js';
import { inputSummary } from './input-summary.js';
import { jsonView } from './json-view.js';
import { moment, updateMoment } from './moment.js';
import { progressBar } from './progress.js';

/** @param {(task) => void} refreshed is given the task anew after a press on refresh or cancel */
export function taskCard(task, refreshed) {
  const id = task.task_id;
  const parts = {
    badge: badge(task.state),
    type: h('span', { class: 'card-type' }),
    time: moment(task.created_at),
    input: inputSummary('card-input'),
    progress: progressBar(),
    error: h('p', { class: 'card-error' }),
    result: h('div', { class: 'card-result' }),
  };
  const refresh = async () => {
    try {
      refreshed(await get(taskPath(id)));
    } catch (error) {
      notifyError(error);
    }
  };
  const cancel = smallButton('cancel', t('cancel'), async () => (await cancelTask(id)) && refresh());
  const element = h(
    'article',
    { class: 'card', 'aria-label': `${typeName(task.type)} ${id}` },
    h('div', { class: 'card-head' }, parts.badge.element, parts.type, h('a', { class: 'card-id mono', href: link('task', {}, id), text: id }), parts.time),
    parts.error,
    parts.result,
    h('div', { class: 'card-foot' }, parts.progress.element, parts.input.element, h('div', { class: 'card-actions' }, smallButton('refresh', t('refresh'), refresh), cancel)),
  );
  let shown = null;
  let shownResult = '';
  const update = (next) => {
    if (next === shown) return;
    shown = next;
    parts.badge.update(next.state);
    setText(parts.type, typeName(next.type));
    updateMoment(parts.time, next.created_at);
    parts.progress.update(isFinished(next.state) ? null : next.progress, { since: next.started_at });
    parts.input.update(next.input);
    parts.input.element.hidden = !parts.progress.element.hidden;
    setText(parts.error, errorOf(next));
    setAttribute(parts.error, 'data-mild', next.state !== 'FAILURE');
    parts.error.hidden = !parts.error.textContent;
    cancel.hidden = isFinished(next.state);
    const result = next.state === 'SUCCESS' && next.result !== null ? JSON.stringify(next.result) : '';
    if (result !== shownResult) refill(parts.result, result && jsonView(next.result, t('task.result')));
    shownResult = result;
  };
  return { element, update };
}

function smallButton(symbol, label, run) {
  return h('button', { class: 'button small', type: 'button', on: { click: run } }, icon(symbol), h('span', { text: label }));
}
