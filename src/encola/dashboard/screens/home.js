/** The first screen: how many, how work flows, what runs now, and a form to start something. */
import { get } from '../api.js';
import { h, refill, setText } from '../dom.js';
import { number } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { keyed } from '../keyed.js';
import { listen, liveStatus } from '../live.js';
import { paced } from '../pace.js';
import { capacity, failures, noWorkerBanner } from '../parts/capacity.js';
import { charts, rangeButtons, RANGES } from '../parts/charts.js';
import { firstSteps } from '../parts/example.js';
import { failed, loading } from '../parts/situations.js';
import { taskCard } from '../parts/task-card.js';
import { taskForm } from '../parts/task-form.js';
import { change, link } from '../router.js';
import { isFinished, RUNNING } from '../states.js';

const SHOWN = 10;
const HOUR = '60';
/** Figure -> icon. */
const FIGURES = { total: 'tasks', active: 'PROCESSING', completed: 'SUCCESS', failed: 'FAILURE' };

export function home() {
  const numbers = figureRow();
  const range = rangeButtons((chosen) => change({ minutes: chosen === HOUR ? null : chosen }));
  let minutes = HOUR;
  const drawn = charts();
  const hands = capacity();
  const failing = failures();
  const banner = noWorkerBanner();
  const cards = h('div', { class: 'cards' });
  const list = h('div', { class: 'card-list' }, loading(t('tasks.loading')));
  const tasks = new Map();

  const show = () => {
    const items = [...tasks.values()].sort(byTurn).slice(0, SHOWN);
    if (!items.length) {
      refill(list, firstSteps());
      return;
    }
    if (!cards.isConnected) refill(list, cards);
    keyed(cards, items, (task) => task.task_id, (task) => taskCard(task, take));
  };
  const take = (task) => {
    tasks.set(task.task_id, task);
    show();
  };
  const load = async () => {
    try {
      const [stats, ...pages] = await Promise.all([get('/stats', { minutes }), get('/tasks', { limit: SHOWN }), ...[...RUNNING].map((state) => get('/tasks', { state, limit: SHOWN }))]);
      for (const part of [numbers, drawn, hands, failing, banner]) part.update(stats);
      tasks.clear();
      for (const page of pages) for (const task of page.items) tasks.set(task.task_id, task);
      show();
    } catch (error) {
      if (!tasks.size) refill(list, failed(error, load));
    }
  };
  const soon = paced(load, 1000);
  const leaving = [
    listen('reload', soon),
    listen('events', (events) => {
      let isMoved = false;
      for (const event of events) {
        const task = tasks.get(event.task_id);
        if (!task || !event.progress) continue;
        tasks.set(task.task_id, { ...task, state: event.state, progress: event.progress });
        isMoved = true;
      }
      if (isMoved && cards.isConnected) show();
      if (events.some((event) => event.state !== 'PROCESSING')) soon();
    }),
  ];
  // A minute without an event is a minute in the charts all the same.
  const clock = setInterval(() => liveStatus() === 'live' && soon(), 30_000);

  return {
    element: h(
      'div',
      { class: 'screen home' },
      h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('home.title') }), h('p', { class: 'subtitle', text: t('home.subtitle') })), range.element),
      banner.element,
      numbers.element,
      drawn.element,
      h(
        'div',
        { class: 'home-columns' },
        h('section', { class: 'panel', 'aria-labelledby': 'active-title' }, h('div', { class: 'panel-head' }, h('h2', { id: 'active-title', text: t('home.active') }), h('a', { href: link('tasks'), text: t('home.all') })), list),
        h(
          'div',
          { class: 'home-side' },
          h('section', { class: 'panel', 'aria-labelledby': 'new-title' }, h('div', { class: 'panel-head' }, h('h2', { id: 'new-title', text: t('home.new') })), taskForm({ done: soon }).element),
          hands.element,
          failing.element,
        ),
      ),
    ),
    update({ query }) {
      minutes = RANGES.includes(query.minutes) ? query.minutes : HOUR;
      range.update(minutes);
      soon();
    },
    leave() {
      soon.stop();
      clearInterval(clock);
      drawn.leave();
      leaving.forEach((stop) => stop());
    },
  };
}

function figureRow() {
  const values = {};
  const rows = Object.entries(FIGURES).map(([name, symbol]) => {
    values[name] = h('dd', { class: 'figure-number', text: '–' });
    return h('div', { class: 'figure', data: { figure: name } }, h('dt', null, icon(symbol), h('span', { text: t(`figure.${name}`) })), values[name]);
  });
  return {
    element: h('dl', { class: 'figures' }, rows),
    update({ totals }) {
      for (const [name, count] of Object.entries(totals)) setText(values[name], number(count));
    },
  };
}

/** What runs first, then what waits, then what ended, each newest first. */
function byTurn(one, other) {
  const rank = ({ state }) => (RUNNING.has(state) ? 0 : isFinished(state) ? 2 : 1);
  return rank(one) - rank(other) || (one.created_at < other.created_at ? 1 : -1);
}
