/** Schedules: what runs by itself, in words; its next times, its last runs; pause, and run now. */
import { get, post } from '../api.js';
import { h, refill, setAttribute, setText } from '../dom.js';
import { elsewhere, number, ownZone } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { keyed } from '../keyed.js';
import { notify, notifyError } from '../notices.js';
import { badge } from '../parts/badge.js';
import { moment } from '../parts/moment.js';
import { pauseButton, pausedMark } from '../parts/pause.js';
import { regularly } from '../parts/regularly.js';
import { empty, failed, loading } from '../parts/situations.js';
import { link } from '../router.js';
import { typeName } from '../types.js';
import { watch } from '../watch.js';

/** Runs shown at once; the others are in the list of tasks. */
const RUNS = 5;

export function schedules() {
  const rows = h('ul', { class: 'cards-grid wide' });
  const banner = h('p', { class: 'banner', role: 'alert', hidden: true, text: t('schedules.stopped') });
  const body = h('div', null, loading());

  async function load() {
    try {
      const { items, running } = await get('/schedules');
      banner.hidden = running || !items.length;
      if (!items.length) refill(body, empty({ title: t('schedules.none'), text: t('schedules.noneText'), symbol: 'schedules' }, h('code', { class: 'code-tag', text: '@task(schedule=every(minutes=5))' })));
      else if (!rows.isConnected) refill(body, rows);
      keyed(rows, items, (schedule) => schedule.id, (schedule) => scheduleCard(schedule, load));
    } catch (error) {
      if (!rows.isConnected) refill(body, failed(error, load));
    }
  }
  const stop = regularly(load);

  return {
    element: h('div', { class: 'screen' }, h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('nav.schedules') }), h('p', { class: 'subtitle', text: t('schedules.subtitle', { zone: ownZone() }) }))), banner, body),
    update() {},
    leave: stop,
  };
}

function scheduleCard({ id, type }, load) {
  const path = `/schedules/${encodeURIComponent(id)}`;
  const words = h('p', { class: 'schedule-words' });
  const rule = h('p', { class: 'schedule-rule mono' });
  const next = h('ol', { class: 'schedule-times' });
  const last = h('ol', { class: 'schedule-runs' });
  const missed = h('p', { class: 'card-warning' });
  const mark = pausedMark();
  const pause = pauseButton((action) => post(`${path}/${action}`), load);
  const run = h('button', { class: 'button small', type: 'button', on: { click: () => runNow(path, type, load) } }, icon('play'), h('span', { text: t('schedule.run') }));
  const element = h(
    'li',
    { class: 'panel queue' },
    h('div', { class: 'queue-head' }, h('h2', null, h('a', { href: link('tasks', { type }), text: id === type ? typeName(type) : id })), mark.element),
    h('div', null, words, rule),
    missed,
    h('div', { class: 'schedule-columns' }, h('div', null, h('h3', { text: t('schedule.next') }), next), h('div', null, h('h3', { text: t('schedule.last') }), last)),
    h('div', { class: 'queue-foot' }, run, pause.element),
  );
  const update = (schedule) => {
    setText(words, schedule.words);
    setText(rule, `${schedule.expression} · ${schedule.timezone}`);
    mark.update(schedule.paused);
    pause.update(schedule.paused);
    missed.hidden = !schedule.missed;
    setText(missed, t('schedule.missed', { count: schedule.missed, number: number(schedule.missed) }));
    redraw(next, schedule.next, () => (schedule.next.length ? schedule.next.map((time, at) => nextTime(time, at, schedule.timezone)) : h('li', { class: 'line-note', text: t('schedule.nothing') })));
    redraw(last, schedule.last, () => (schedule.last.length ? schedule.last.slice(0, RUNS).map(lastRun) : h('li', { class: 'line-note', text: t('schedule.never') })));
  };
  return { element, update };
}

/** Anew only when it says something else. */
function redraw(list, value, make) {
  const key = JSON.stringify(value);
  if (list.dataset.shown === key) return;
  setAttribute(list, 'data-shown', key);
  refill(list, make());
}

/** In this browser's time; where the schedule goes by other clocks, the first in theirs too. */
function nextTime(time, at, zone) {
  const there = at === 0 && elsewhere(time, zone);
  return h('li', null, moment(time, 'planned'), at === 0 && h('span', { class: 'line-note' }, moment(time)), there && h('span', { class: 'line-note', text: t('schedule.there', { time: there, zone }) }));
}

function lastRun({ task_id: id, state, at }) {
  const time = h('a', { href: link('task', {}, id) }, moment(at, 'clock'));
  return h('li', null, time, state ? badge(state).element : h('span', { class: 'line-note', text: t('schedule.gone') }));
}

async function runNow(path, type, load) {
  try {
    const { task_id: id } = await post(`${path}/run`);
    watch(id, type);
    notify(t('submit.done'), { href: link('task', {}, id), hrefLabel: t('watch.open') });
    await load();
  } catch (error) {
    notifyError(error);
  }
}
