/** Queues and task types: what waits where, for how long; pause, resume, empty. */
import { get, post } from '../api.js';
import { ask } from '../dialog.js';
import { h, refill, setText } from '../dom.js';
import { duration, number, oneDecimal } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { keyed } from '../keyed.js';
import { notify, notifyError } from '../notices.js';
import { pauseButton, pausedMark } from '../parts/pause.js';
import { regularly } from '../parts/regularly.js';
import { empty, failed, loading } from '../parts/situations.js';
import { link } from '../router.js';
import { hasForm, typeName } from '../types.js';

const NUMBERS = ['ready', 'held', 'delayed', 'running'];

export function queues() {
  const rows = h('ul', { class: 'cards-grid' });
  const types = h('ul', { class: 'lines' });
  const body = h('div', null, loading());
  const whole = h('div', { class: 'stack' }, rows, h('section', { class: 'panel', 'aria-labelledby': 'types-title' }, h('div', { class: 'panel-head' }, h('h2', { id: 'types-title', text: t('queues.types') })), types));

  async function load() {
    try {
      const [found, declared] = await Promise.all([get('/queues'), get('/tasks/types')]);
      if (!whole.isConnected) refill(body, whole);
      keyed(rows, found.items, (queue) => queue.name, (queue) => queueCard(queue.name, load));
      keyed(types, declared.types, (type) => type.name, (type) => typeLine(type, load));
      if (!found.items.length) refill(body, empty({ title: t('queues.none'), symbol: 'queues' }));
    } catch (error) {
      if (!whole.isConnected) refill(body, failed(error, load));
    }
  }
  const stop = regularly(load);

  return {
    element: h('div', { class: 'screen' }, h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('nav.queues') }), h('p', { class: 'subtitle', text: t('queues.subtitle') }))), body),
    update() {},
    leave: stop,
  };
}

function queueCard(name, load) {
  const path = `/queues/${encodeURIComponent(name)}`;
  const values = Object.fromEntries([...NUMBERS, 'oldest', 'rate', 'workers'].map((key) => [key, h('dd')]));
  const fact = (key) => h('div', null, h('dt', { text: t(`queue.${key}`) }), values[key]);
  const state = pausedMark();
  const pause = pauseButton((action) => post(`${path}/${action}`), load);
  const purge = h('button', { class: 'button small danger-quiet', type: 'button', on: { click: () => purgeQueue(name, path, load) } }, icon('trash'), h('span', { text: t('queue.purge') }));
  const warning = h('p', { class: 'card-warning', text: t('queue.noWorker') });
  const element = h(
    'li',
    { class: 'panel queue' },
    h('div', { class: 'queue-head' }, h('h2', null, h('a', { href: link('tasks', { queue: name }), text: name })), state.element),
    warning,
    h('dl', { class: 'numbers' }, NUMBERS.map(fact)),
    h('dl', { class: 'facts' }, ['oldest', 'rate', 'workers'].map(fact)),
    h('div', { class: 'queue-foot' }, pause.element, purge),
  );
  const update = (queue) => {
    NUMBERS.forEach((key) => setText(values[key], number(queue[key])));
    setText(values.oldest, queue.oldest_wait_s === null ? '–' : duration(queue.oldest_wait_s * 1000));
    setText(values.rate, t('queue.rates', { in: oneDecimal(queue.rates.enqueued), out: oneDecimal(queue.rates.finished) }));
    setText(values.workers, number(queue.workers));
    state.update(queue.paused);
    pause.update(queue.paused);
    warning.hidden = queue.workers > 0;
    purge.disabled = queue.ready + queue.held === 0;
  };
  return { element, update };
}

function typeLine({ name }, load) {
  const state = pausedMark();
  const pause = pauseButton((action) => post(`/tasks/types/${encodeURIComponent(name)}/${action}`), load);
  const queue = h('span', { class: 'line-note' });
  const element = h('li', { class: 'line' }, h('a', { class: 'line-name', href: link('tasks', { type: name }), text: typeName(name) }), queue, state.element, h('span', { class: 'line-tools' }, hasForm({ name }) && h('a', { class: 'button small quiet', href: link('new', { type: name }) }, icon('new'), h('span', { text: t('nav.new') })), pause.element));
  return {
    element,
    update(type) {
      setText(queue, type.queue);
      state.update(type.paused);
      pause.update(type.paused);
    },
  };
}

async function purgeQueue(name, path, load) {
  try {
    const { count } = await post(`${path}/purge?dry_run=true`);
    const sure = await ask({ title: t('queue.purge.title', { name }), text: t('queue.purge.question', { count, number: number(count) }), yes: t('queue.purge.yes') });
    if (!sure) return;
    const answer = await post(`${path}/purge`);
    notify(answer.message);
    await load();
  } catch (error) {
    notifyError(error);
  }
}
