/** The first screen: how many, what runs now, and a form to start something. */
import { get } from '../api.js';
import { h, refill, setText } from '../dom.js';
import { short } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { keyed } from '../keyed.js';
import { listen } from '../live.js';
import { paced } from '../pace.js';
import { firstSteps } from '../parts/example.js';
import { failed, loading } from '../parts/situations.js';
import { taskCard } from '../parts/task-card.js';
import { taskForm } from '../parts/task-form.js';
import { link } from '../router.js';
import { figures, isFinished, RUNNING } from '../states.js';

const SHOWN = 15;
/** Figure -> icon. */
const FIGURES = { total: 'tasks', active: 'PROCESSING', completed: 'SUCCESS', failed: 'FAILURE' };

export function home() {
  const numbers = figureRow();
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
      const [ready, ...pages] = await Promise.all([get('/ready'), get('/tasks', { limit: SHOWN }), ...[...RUNNING].map((state) => get('/tasks', { state, limit: SHOWN }))]);
      numbers.update(ready.states);
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
      for (const event of events) {
        const task = tasks.get(event.task_id);
        if (task && event.progress) tasks.set(task.task_id, { ...task, state: event.state, progress: event.progress });
      }
      if (cards.isConnected) show();
      if (events.some((event) => event.state !== 'PROCESSING')) soon();
    }),
  ];
  load();

  return {
    element: h(
      'div',
      { class: 'screen home' },
      h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('home.title') }), h('p', { class: 'subtitle', text: t('home.subtitle') }))),
      numbers.element,
      h(
        'div',
        { class: 'home-columns' },
        h('section', { class: 'panel', 'aria-labelledby': 'active-title' }, h('div', { class: 'panel-head' }, h('h2', { id: 'active-title', text: t('home.active') }), h('a', { href: link('tasks'), text: t('home.all') })), list),
        h('section', { class: 'panel', 'aria-labelledby': 'new-title' }, h('div', { class: 'panel-head' }, h('h2', { id: 'new-title', text: t('home.new') })), taskForm({ done: soon }).element),
      ),
    ),
    update() {},
    leave() {
      soon.stop();
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
    update(states) {
      for (const [name, count] of Object.entries(figures(states))) setText(values[name], short(count));
    },
  };
}

/** What runs first, then what waits, then what ended, each newest first. */
function byTurn(one, other) {
  const rank = ({ state }) => (RUNNING.has(state) ? 0 : isFinished(state) ? 2 : 1);
  return rank(one) - rank(other) || (one.created_at < other.created_at ? 1 : -1);
}
