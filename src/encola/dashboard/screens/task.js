/** One task on its own page. */
import { h, refill, setText } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { taskDetail } from '../parts/task-detail.js';
import { link } from '../router.js';

export function task() {
  const place = h('section', { class: 'panel padded' });
  const heading = h('h1', { class: 'sr-only' });
  let shown = null;
  let detail = null;
  return {
    element: h('div', { class: 'screen' }, heading, h('nav', { class: 'crumbs', 'aria-label': t('task.crumbs') }, h('a', { href: link('tasks') }, icon('tasks'), h('span', { text: t('tasks.title') }))), place),
    update({ id }) {
      if (id === shown) return;
      detail?.leave();
      shown = id;
      setText(heading, t('task.heading', { id: id ?? '' }));
      detail = taskDetail(id ?? '');
      refill(place, detail.element);
    },
    leave: () => detail?.leave(),
  };
}
