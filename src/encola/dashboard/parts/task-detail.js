/** Everything known of a task, live: used beside the list and on its own page. */
import { get, taskPath } from '../api.js';
import { h, refill, setText } from '../dom.js';
import { t } from '../i18n.js';
import { listen, liveStatus } from '../live.js';
import { paced } from '../pace.js';
import { link } from '../router.js';
import { moved } from '../tasklist.js';
import { isFinished } from '../states.js';
import { typeName } from '../types.js';
import { copyButton } from '../copy.js';
import { badge } from './badge.js';
import { progressBar } from './progress.js';
import { empty, failed, loading } from './situations.js';
import { taskLog } from './log.js';
import { taskButtons } from './task-buttons.js';
import { errorSection, factsSection, inputSection, resultSection } from './task-sections.js';
import { timeline } from './timeline.js';
import { waitingLine } from './waiting.js';

export function taskDetail(id, changed = () => {}) {
  const element = h('div', { class: 'detail' }, loading());
  const state = badge('PENDING');
  const type = h('h2', { class: 'detail-type' });
  const progress = progressBar();
  const buttons = h('div', { class: 'detail-buttons' });
  const times = timeline();
  const waiting = waitingLine();
  const log = taskLog(id);
  const places = { result: h('div'), error: h('div'), input: h('div'), facts: h('div') };
  const body = [
    h('div', { class: 'detail-head' }, h('div', { class: 'detail-title' }, type, state.element), h('p', { class: 'detail-id' }, h('span', { class: 'mono', text: id }), copyButton(() => id, t('copy.id')))),
    buttons, waiting.element, progress.element,
    h('div', { class: 'detail-columns' }, h('div', { class: 'detail-column' }, places.error, places.result, times.element, log.element), h('div', { class: 'detail-column' }, places.input, places.facts)),
  ];
  let task = null;
  let drawn = {};
  let asks = 0;
  let answered = 0;

  /** Draws a part again only when what it shows has changed, so that a selection in it stays. */
  const draw = (name, value, make) => {
    const key = JSON.stringify(value);
    if (drawn[name] === key) return;
    drawn[name] = key;
    refill(places[name] ?? buttons, make());
  };

  const show = () => {
    if (!type.isConnected) refill(element, body);
    setText(type, typeName(task.type));
    state.update(task.state);
    progress.update(task.progress, { running: !isFinished(task.state), since: task.started_at });
    progress.element.hidden = !task.progress || task.state === 'SUCCESS';
    draw('buttons', [task.state, task.input], () => taskButtons(task, load));
    draw('error', [task.state, task.error, task.error_code, task.traceback], () => errorSection(task));
    draw('result', [task.state, task.result], () => resultSection(task));
    draw('input', task.input, () => inputSection(task));
    draw('facts', { ...task, progress: null, input: null, result: null, waiting: null }, () => factsSection(task));
    waiting.update(task);
    times.update(task);
  };

  async function load() {
    asks += 1;
    const ask = asks;
    try {
      const found = await get(taskPath(id));
      // Of two that were under way the older may come last.
      if (ask < answered) return;
      answered = ask;
      task = found;
      changed(task);
      show();
    } catch (error) {
      if (!task) refill(element, error.code === 'task_not_found' ? unknown(error, id) : failed(error, load));
    }
  }

  const soon = paced(load, 250);
  const again = paced(load, 3000);
  const leaving = [
    listen('reload', soon),
    listen('events', (events) => {
      const mine = events.filter((event) => event.task_id === id);
      if (!mine.length) return;
      if (task) {
        task = { ...mine.reduce(moved, task), waiting: null };
        show();
      }
      // Also where the first answer is on its way: it may be older than this.
      if (mine.some((event) => event.state !== 'PROCESSING')) soon();
    }),
  ];
  const clock = setInterval(() => {
    if (task && !isFinished(task.state)) times.update(task);
    // Its place in the queue changes without an event of its own.
    if (task?.waiting && liveStatus() === 'live') again();
  }, 1000);
  load();

  return {
    element,
    leave() {
      log.leave();
      soon.stop();
      again.stop();
      clearInterval(clock);
      leaving.forEach((stop) => stop());
    },
  };
}

const unknown = (error, id) => empty({ title: error.sentence, text: t('task.unknown'), symbol: 'search' }, h('code', { class: 'code-tag', text: id }), h('a', { class: 'button', href: link('tasks'), text: t('home.all') }));
