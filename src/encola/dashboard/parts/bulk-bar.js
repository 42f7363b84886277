/** What can be done with the tasks that are ticked, or with all that match: the service does it, as a task. */
import { post } from '../api.js';
import { ask } from '../dialog.js';
import { h, setText } from '../dom.js';
import { number } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { notify, notifyError } from '../notices.js';
import { link } from '../router.js';
import { watch } from '../watch.js';

/**
 * @param {Set<string>} picked ids that are ticked
 * @param {() => object} filterOf the filter of the list, as the API takes it; empty when there is none
 * @param {() => void} done called when the selection is to go
 */
export function bulkBar(picked, filterOf, done) {
  const words = h('span', { class: 'bulk-count' });
  const everything = h('button', { class: 'link-button', type: 'button', on: { click: () => { all = true; show(); } } });
  const action = (what, symbol) => h('button', { class: 'button small', type: 'button', on: { click: () => act(what) } }, icon(symbol), h('span', { text: t(what) }));
  const clear = h('button', { class: 'link-button', type: 'button', text: t('select.none'), on: { click: () => done() } });
  const element = h('div', { class: 'bulk', hidden: true }, words, everything, action('cancel', 'cancel'), action('retry', 'retry'), clear);
  let shown = [];
  let all = false;

  const show = () => {
    element.hidden = picked.size === 0;
    const covered = picked.size > 0 && shown.every((task) => picked.has(task.task_id));
    // Who takes one of them out no longer means them all.
    if (!covered) all = false;
    const whole = covered && Object.keys(filterOf()).length > 0;
    setText(words, all ? t('select.matching') : t('select.count', { count: picked.size, number: number(picked.size) }));
    everything.hidden = all || !whole;
    setText(everything, t('select.everything'));
  };

  async function act(what) {
    const filter = all ? filterOf() : { ids: [...picked] };
    try {
      const { matches: count, exact } = await post(`/tasks/${what}`, { filter, dry_run: true });
      if (!count) {
        notify(t(`bulk.${what}.none`), { kind: 'info' });
        return;
      }
      const title = t(`bulk.${what}.title`, { count, number: exact ? number(count) : t('atLeast', { number: number(count) }) });
      if (!(await ask({ title, text: t(`bulk.${what}.question`), yes: t(`bulk.${what}.yes`), danger: what === 'cancel' }))) return;
      const { task_id: id } = await post(`/tasks/${what}`, { filter, dry_run: false });
      watch(id, `bulk_${what}`);
      notify(t(`bulk.${what}.started`, { count, number: number(count) }), { href: link('task', {}, id), hrefLabel: t('watch.open') });
      done();
    } catch (error) {
      notifyError(error);
    }
  }

  return {
    element,
    update(items) {
      shown = items;
      show();
    },
  };
}
