/** A task beside the list: the same as on its own page, and a way there. */
import { h, refill } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { change, link } from '../router.js';
import { taskDetail } from './task-detail.js';

/** @param {(task) => void} changed is given each newer version of the task */
export function taskPanel(changed) {
  const element = h('aside', { class: 'panel side-panel', 'aria-label': t('task.title'), hidden: true });
  let shown = null;
  let detail = null;
  let before = null;

  const close = () => change({ task: null });
  element.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !document.querySelector('dialog[open]')) close();
  });

  return {
    element,
    open(id) {
      if (id === shown) return;
      detail?.leave();
      detail = null;
      if (id && !shown) before = document.activeElement;
      shown = id;
      element.hidden = id === null;
      if (id === null) {
        refill(element);
        before?.isConnected && before.focus?.({ preventScroll: true });
        return;
      }
      detail = taskDetail(id, changed);
      const closing = h('button', { class: 'icon-button', type: 'button', 'aria-label': t('panel.close'), on: { click: close } }, icon('close'));
      refill(
        element,
        h('div', { class: 'side-panel-head' }, h('a', { class: 'button small quiet', href: link('task', {}, id) }, icon('open'), h('span', { text: t('panel.page') })), closing),
        detail.element,
      );
      // A view that was sent opens without anybody having pressed anything: then the focus stays at the beginning of the page.
      if (before !== document.body) closing.focus({ preventScroll: true });
    },
  };
}
