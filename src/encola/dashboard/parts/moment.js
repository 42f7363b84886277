/** A time that says how long ago it was, and on the pointer the whole of it. Brought up to date by one clock. */
import { h, setAttribute, setText } from '../dom.js';
import { full, relative, when } from '../format.js';

const shown = new Set();

setInterval(() => {
  for (const moment of shown) {
    const element = moment.deref();
    if (element) tell(element);
    else shown.delete(moment);
  }
}, 10_000);

/** @param {string} [kind] `relative` (how long ago) or `clock` */
export function moment(time, kind = 'relative') {
  const element = h('time', { data: { kind } });
  updateMoment(element, time);
  shown.add(new WeakRef(element));
  return element;
}

export function updateMoment(element, time) {
  setAttribute(element, 'datetime', time);
  tell(element);
}

function tell(element) {
  const time = element.getAttribute('datetime');
  setText(element, time ? (element.dataset.kind === 'clock' ? when(time) : relative(time)) : '—');
  setAttribute(element, 'title', time ? full(time) : null);
}
