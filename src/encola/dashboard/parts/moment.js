/** A time that says how long ago it was, and on the pointer the whole of it. Brought up to date by one clock. */
import { h, setAttribute, setText } from '../dom.js';
import { full, planned, relative, when } from '../format.js';

const shown = new Set();

setInterval(() => {
  for (const moment of shown) {
    const element = moment.deref();
    if (!element) shown.delete(moment);
    else if (element.isConnected) tell(element);
  }
}, 10_000);

// Only once somebody points at it: no format takes as long, and a list holds hundreds of times.
document.addEventListener('pointerover', ({ target }) => {
  const element = target.closest?.('time[data-kind]');
  const time = element?.getAttribute('datetime');
  if (time) setAttribute(element, 'title', full(time));
});

/** Kind -> how it is said. */
const SAY = { relative, clock: when, planned };

/** @param {string} [kind] `relative` (how long ago), `clock`, or `planned` */
export function moment(time, kind = 'relative') {
  const element = h('time', { data: { kind } });
  tell(element);
  updateMoment(element, time);
  shown.add(new WeakRef(element));
  return element;
}

export function updateMoment(element, time) {
  if (element.getAttribute('datetime') === (time ?? null)) return;
  setAttribute(element, 'datetime', time);
  setAttribute(element, 'title', null);
  tell(element);
}

function tell(element) {
  const time = element.getAttribute('datetime');
  setText(element, time ? SAY[element.dataset.kind](time) : '—');
}
