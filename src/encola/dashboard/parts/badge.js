/** A state: a colour, a shape and a word, never colour alone. */
import { h, refill, setAttribute } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';

export function badge(state) {
  const element = h('span', { class: 'badge' });
  let shown = null;
  const update = (next) => {
    if (next === shown) return;
    shown = next;
    setAttribute(element, 'data-state', next);
    setAttribute(element, 'title', next);
    refill(element, icon(next), h('span', { text: t(`state.${next}`) }));
  };
  update(state);
  return { element, update };
}
