/** All tasks: filter, read, select, act; one of them open beside the list. */
import { get } from '../api.js';
import { announce } from '../announce.js';
import { h, refill, setText } from '../dom.js';
import { number } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { keyed } from '../keyed.js';
import { listen } from '../live.js';
import { paced } from '../pace.js';
import { bulkBar } from '../parts/bulk-bar.js';
import { firstSteps } from '../parts/example.js';
import { empty, failed, loading } from '../parts/situations.js';
import { taskFilters } from '../parts/task-filters.js';
import { taskPanel } from '../parts/task-panel.js';
import { taskRow } from '../parts/task-row.js';
import { apiFilter, filterPart } from '../filter.js';
import { link, place } from '../router.js';
import { RUNNING } from '../states.js';
import { freshCount, taskList } from '../tasklist.js';

const COLUMNS = ['state', 'task', 'queue', 'user', 'created', 'span'];

export function tasks() {
  const filters = taskFilters();
  const picked = new Set();
  const rows = h('tbody');
  const whole = h('input', { type: 'checkbox', class: 'tick', 'aria-label': t('select.all'), on: { change: (event) => pickAll(event.target.checked) } });
  const table = h('table', { class: 'table' }, h('caption', { class: 'sr-only', text: t('tasks.title') }), h('thead', null, h('tr', null, h('th', { class: 'cell-tick', scope: 'col' }, whole), COLUMNS.map((name) => h('th', { class: `cell-${name === 'task' ? 'type' : name === 'created' ? 'time' : name}`, scope: 'col', text: t(`column.${name}`) })))), rows);
  const fresh = h('button', { class: 'fresh', type: 'button', hidden: true, on: { click: () => list.load().then(() => scrollTo({ top: 0 })) } });
  const more = h('button', { class: 'button', type: 'button', text: t('tasks.more'), on: { click: () => list.more() } });
  const further = h('button', { class: 'button', type: 'button', text: t('tasks.further'), on: { click: () => list.more() } });
  const body = h('div', { class: 'list-body' }, loading(t('tasks.loading')));
  const panel = taskPanel((task) => list.replace(task));
  const selection = { picked, pick, open: () => opened };
  const bar = bulkBar(picked, () => apiFilter(place().query), () => { picked.clear(); show(); list.load(); });
  const list = taskList(show);
  let wanted = '';
  let opened = null;

  function pick(id, yes) {
    if (yes) picked.add(id);
    else picked.delete(id);
    show();
  }

  function pickAll(yes) {
    picked.clear();
    if (yes) list.items.forEach((task) => picked.add(task.task_id));
    show();
  }

  function show() {
    showFresh();
    bar.update(list.items);
    whole.checked = picked.size > 0 && picked.size === list.items.length;
    whole.indeterminate = picked.size > 0 && !whole.checked;
    if (list.items.length) {
      if (!table.isConnected) refill(body, table, h('div', { class: 'list-foot' }, more));
      keyed(rows, list.items, (task) => task.task_id, (task) => taskRow(task, selection));
      more.hidden = !list.next;
    } else if (list.error) refill(body, failed(list.error, () => list.load()));
    else if (list.next) refill(body, empty({ title: t('tasks.noneYet'), symbol: 'search' }, further));
    else if (!list.loading) refill(body, nothing());
  }

  function showFresh() {
    const { count, exact } = freshCount(list.fresh);
    const words = t('tasks.fresh', { count, number: exact ? number(count) : t('atLeast', { number: number(count) }) });
    if (count && fresh.hidden) announce(words);
    fresh.hidden = !count;
    setText(fresh, words);
  }

  function nothing() {
    const filtered = Object.keys(filterPart(place().query)).length > 0;
    return filtered ? empty({ title: t('tasks.noMatch'), symbol: 'search' }, h('a', { class: 'button', href: link('tasks'), text: t('filter.clear') })) : firstSteps();
  }

  const count = paced(() => {
    const { type, queue, user_id } = place().query;
    return get('/tasks/counts', { type, queue, user_id }).then(filters.count, () => {});
  }, 1000);
  const stop = [listen('events', count), listen('reload', count)];
  // What runs says how long, whether or not it says anything else.
  const clock = setInterval(() => !document.hidden && list.items.some(({ state }) => RUNNING.has(state)) && show(), 1000);
  count();

  return {
    element: h(
      'div',
      { class: 'screen tasks' },
      h('header', { class: 'screen-head' }, h('h1', { text: t('tasks.title') }), h('a', { class: 'button primary', href: link('new') }, icon('new'), h('span', { text: t('nav.new') }))),
      filters.element,
      h('div', { class: 'split' }, h('section', { class: 'panel list', 'aria-label': t('tasks.title') }, fresh, bar.element, body), panel.element),
    ),
    update({ query }) {
      const filter = filterPart(query);
      const { task } = query;
      filters.update(filter);
      opened = task ?? null;
      panel.open(opened);
      const key = JSON.stringify(filter);
      if (key !== wanted) {
        wanted = key;
        picked.clear();
        list.load(filter);
        count();
      } else show();
    },
    leave() {
      count.stop();
      clearInterval(clock);
      list.leave();
      panel.open(null);
      stop.forEach((each) => each());
    },
  };
}
