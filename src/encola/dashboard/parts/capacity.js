/** Whether there are hands enough: busy slots, workers, the oldest wait; and what failed, by type and reason. */
import { h, refill, setText } from '../dom.js';
import { duration, number } from '../format.js';
import { t, tOr } from '../i18n.js';
import { link } from '../router.js';
import { typeName } from '../types.js';

const MOST = 5;

export function capacity() {
  const fill = h('span', { class: 'bar-fill' });
  const busy = h('b');
  const wait = h('b');
  const workers = h('b');
  const element = h(
    'section',
    { class: 'panel', 'aria-labelledby': 'capacity-title' },
    h('div', { class: 'panel-head' }, h('h2', { id: 'capacity-title', text: t('capacity.title') }), h('a', { href: link('workers'), text: t('nav.workers') })),
    h('div', { class: 'capacity' }, h('p', null, h('span', { text: t('capacity.busy') }), busy), h('span', { class: 'bar', 'aria-hidden': 'true' }, fill), h('p', null, h('span', { text: t('capacity.wait') }), wait), h('p', null, h('span', { text: t('capacity.workers') }), workers)),
  );
  return {
    element,
    update(stats) {
      setText(busy, t('capacity.slots', { busy: number(stats.busy), slots: number(stats.slots) }));
      fill.style.setProperty('--share', stats.slots ? stats.busy / stats.slots : 0);
      setText(wait, stats.oldest_wait_s === null ? t('capacity.nobody') : duration(stats.oldest_wait_s * 1000));
      setText(workers, number(stats.workers));
    },
  };
}

export function failures() {
  const list = h('ul', { class: 'failures' });
  const element = h('section', { class: 'panel', 'aria-labelledby': 'failures-title', hidden: true }, h('div', { class: 'panel-head' }, h('h2', { id: 'failures-title', text: t('failures.title') }), h('a', { href: link('tasks', { state: 'FAILURE' }), text: t('home.all') })), list);
  return {
    element,
    update({ failures: found }) {
      element.hidden = !found.length;
      refill(list, found.slice(0, MOST).map(({ type, error_code: code, count }) => h(
        'li',
        null,
        h('a', { href: link('tasks', { state: 'FAILURE', type }), text: typeName(type) }),
        h('span', { class: 'failure-code', text: tOr(`error.${code}`, code ?? '') }),
        h('b', { text: number(count) }),
      )));
    },
  };
}

/** A service without a worker takes tasks and runs none: that must not look like calm. */
export function noWorkerBanner() {
  const element = h('p', { class: 'banner', role: 'alert', hidden: true, text: t('banner.noWorker') });
  return { element, update: ({ workers }) => { element.hidden = workers > 0; } };
}
