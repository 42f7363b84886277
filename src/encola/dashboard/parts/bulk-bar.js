/** What can be done with the tasks that are ticked: cancel them, run them again. */
import { del, post, taskPath } from '../api.js';
import { ask } from '../dialog.js';
import { h, setText } from '../dom.js';
import { number } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { notify } from '../notices.js';
import { isFinished } from '../states.js';

/** Requests under way at once: the service keeps answering others meanwhile. */
const AT_ONCE = 6;

export function bulkBar(picked, done) {
  const words = h('span', { class: 'bulk-count' });
  const cancel = h('button', { class: 'button small', type: 'button', on: { click: () => act('cancel', (id) => del(`/tasks/cancel/${encodeURIComponent(id)}`), (task) => !isFinished(task.state)) } }, icon('cancel'), h('span', { text: t('cancel') }));
  const retry = h('button', { class: 'button small', type: 'button', on: { click: () => act('retry', (id) => post(taskPath(id, '/retry')), (task) => isFinished(task.state)) } }, icon('retry'), h('span', { text: t('retry') }));
  const clear = h('button', { class: 'link-button', type: 'button', text: t('select.none'), on: { click: () => done() } });
  const element = h('div', { class: 'bulk', hidden: true }, words, cancel, retry, clear);
  let shown = [];

  async function act(what, call, fits) {
    const ids = shown.filter((task) => picked.has(task.task_id) && fits(task)).map((task) => task.task_id);
    const count = ids.length;
    if (!count) {
      notify(t(`bulk.${what}.none`), { kind: 'info' });
      return;
    }
    const sure = await ask({ title: t(`bulk.${what}.title`, { count, number: number(count) }), text: t(`bulk.${what}.question`), yes: t(`bulk.${what}.yes`), danger: what === 'cancel' });
    if (!sure) return;
    const good = await each(ids, call);
    notify(t(`bulk.${what}.done`, { count: good, number: number(good) }), { kind: good === count ? 'success' : 'error' });
    done();
  }

  return {
    element,
    update(items) {
      shown = items;
      element.hidden = picked.size === 0;
      setText(words, t('select.count', { count: picked.size, number: number(picked.size) }));
    },
  };
}

/** Calls for each id, a few at once; how many went well. */
async function each(ids, call) {
  const left = [...ids];
  let good = 0;
  const worker = async () => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      if (await call(id).then(() => true, () => false)) good += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return good;
}
