/** Workers: who is there, what each runs, how long its lease lasts; drain and resume. */
import { get, post } from '../api.js';
import { ask } from '../dialog.js';
import { h, refill, setAttribute, setText } from '../dom.js';
import { duration, number } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { keyed } from '../keyed.js';
import { notify, notifyError } from '../notices.js';
import { moment, updateMoment } from '../parts/moment.js';
import { progressBar } from '../parts/progress.js';
import { regularly } from '../parts/regularly.js';
import { empty, failed, loading } from '../parts/situations.js';
import { link } from '../router.js';
import { typeName } from '../types.js';

export function workers() {
  const rows = h('ul', { class: 'cards-grid wide' });
  const body = h('div', null, loading());

  async function load() {
    try {
      const { items, in_process: inProcess } = await get('/workers');
      if (!rows.isConnected || !(items.length + inProcess.length)) refill(body, items.length + inProcess.length ? rows : nobody());
      keyed(rows, [...items, ...inProcess], (worker) => worker.id, (worker) => workerCard(worker, load));
    } catch (error) {
      if (!rows.isConnected) refill(body, failed(error, load));
    }
  }
  const stop = regularly(load);

  return {
    element: h('div', { class: 'screen' }, h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('nav.workers') }), h('p', { class: 'subtitle', text: t('workers.subtitle') }))), body),
    update() {},
    leave: stop,
  };
}

const nobody = () => empty({ title: t('workers.none'), text: t('workers.noneText'), symbol: 'workers' }, h('code', { class: 'code-tag', text: 'encola worker' }));

/** An API process that runs tasks of its own has no slots, and cannot be drained. */
function workerCard(worker, load) {
  const real = worker.slots !== undefined;
  const fill = h('span', { class: 'bar-fill' });
  const values = { busy: h('dd'), lease: h('dd'), queues: h('dd'), pid: h('dd', { class: 'mono', text: String(worker.pid ?? '–') }), since: h('dd', null, real ? moment(worker.since) : '–') };
  const fact = (key) => h('div', null, h('dt', { text: t(`worker.${key}`) }), values[key]);
  const draining = h('span', { class: 'mark' }, icon('pause'), h('span', { text: t('worker.draining') }));
  const button = h('button', { class: 'button small', type: 'button' });
  const running = h('ul', { class: 'running' });
  const idle = h('p', { class: 'running-none', text: t('worker.idle') });
  let state = worker;
  button.addEventListener('click', () => drain(state, load));
  const element = h(
    'li',
    { class: 'panel queue' },
    h('div', { class: 'queue-head' }, h('h2', { class: 'mono', text: worker.hostname }), draining, real && button),
    real && h('span', { class: 'bar', 'aria-hidden': 'true' }, fill),
    h('dl', { class: 'facts' }, (real ? ['busy', 'queues', 'since', 'lease', 'pid'] : ['lease', 'pid']).map(fact)),
    running,
    idle,
  );
  const update = (next) => {
    state = next;
    if (real) {
      setText(values.busy, t('capacity.slots', { busy: number(next.busy), slots: number(next.slots) }));
      fill.style.setProperty('--share', next.slots ? next.busy / next.slots : 0);
      setText(values.queues, next.queues.join(', '));
      updateMoment(values.since.firstElementChild, next.since);
      refill(button, icon(next.draining ? 'play' : 'pause'), h('span', { text: t(next.draining ? 'queue.resume' : 'worker.drain') }));
    }
    draining.hidden = !next.draining;
    setText(values.lease, next.lease_seconds_left > 0 ? duration(next.lease_seconds_left * 1000) : t('worker.overdue'));
    setAttribute(element, 'data-late', next.lease_seconds_left > 0 ? null : '');
    keyed(running, next.running, (task) => task.task_id, runningLine);
    idle.hidden = next.running.length > 0;
  };
  return { element, update };
}

function runningLine(task) {
  const progress = progressBar();
  const span = h('span', { class: 'line-note' });
  const element = h('li', { class: 'running-line' }, h('div', { class: 'running-head' }, h('a', { href: link('task', {}, task.task_id), text: typeName(task.type) }), span), progress.element);
  const update = (next) => {
    const since = next.time_start ? next.time_start * 1000 : null;
    setText(span, since ? duration(Date.now() - since) : '');
    progress.update(next.total === undefined ? null : { current: next.current, total: next.total }, { since });
  };
  return { element, update };
}

async function drain(worker, load) {
  const action = worker.draining ? 'resume' : 'drain';
  if (action === 'drain' && !(await ask({ title: t('worker.drain.title'), text: t('worker.drain.question'), yes: t('worker.drain.yes'), danger: false }))) return;
  try {
    const answer = await post(`/workers/${encodeURIComponent(worker.id)}/${action}`);
    notify(answer.message);
    await load();
  } catch (error) {
    notifyError(error);
  }
}
