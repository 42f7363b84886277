/** What can be paused: the mark that it is, and the button for the other. */
import { h, refill, setAttribute, setText } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { notify, notifyError } from '../notices.js';

export function pausedMark() {
  const element = h('span', { class: 'mark' }, icon('pause'), h('span', { text: t('queue.paused') }));
  return { element, update: (paused) => { element.hidden = !paused; } };
}

/** @param {(action: 'pause'|'resume') => Promise} act */
export function pauseButton(act, load) {
  const words = h('span');
  let paused = false;
  const element = h('button', { class: 'button small', type: 'button', on: { click: async () => {
    try {
      const answer = await act(paused ? 'resume' : 'pause');
      notify(answer.message);
      await load();
    } catch (error) {
      notifyError(error);
    }
  } } });
  return {
    element,
    update(next) {
      if (next === paused && words.textContent) return;
      paused = next;
      setText(words, t(paused ? 'queue.resume' : 'queue.pause'));
      setAttribute(element, 'data-paused', paused ? '' : null);
      refill(element, icon(paused ? 'play' : 'pause'), words);
    },
  };
}
