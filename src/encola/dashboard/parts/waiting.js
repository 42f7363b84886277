/** Why a task that waits does not run: how many are ahead, paused, its time, nobody there. */
import { h, refill } from '../dom.js';
import { number, relative, when } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { link } from '../router.js';

export function waitingLine() {
  const element = h('p', { class: 'waiting', hidden: true });
  const update = ({ waiting, queue }) => {
    element.hidden = !waiting;
    if (!waiting) return;
    const place = link(waiting.reason === 'no_worker' ? 'workers' : 'queues');
    refill(element, icon(waiting.reason.endsWith('paused') ? 'pause' : 'SCHEDULED'), h('span', { text: sentence(waiting, queue) }), waiting.reason !== 'time' && waiting.reason !== 'claimed' && h('a', { href: place, text: t(waiting.reason === 'no_worker' ? 'nav.workers' : 'nav.queues') }));
  };
  return { element, update };
}

function sentence({ reason, ahead, until }, queue) {
  if (reason === 'ahead' && ahead === null) return t('waiting.many');
  if (reason === 'ahead' && ahead === 0) return t('waiting.next');
  return t(`waiting.${reason}`, { count: ahead ?? 0, number: number(ahead ?? 0), queue, time: until ? when(until) : '', relative: until ? relative(until) : '' });
}
