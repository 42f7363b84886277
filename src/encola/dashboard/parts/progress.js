/** The bar with `current/total - sentence` under it. */
import { h, setAttribute, setText } from '../dom.js';
import { number, percent } from '../format.js';
import { t } from '../i18n.js';

/** 0 to 1, or null where the task did not say how much there is. */
export function shareOf(progress) {
  const { current, total } = progress ?? {};
  return typeof current === 'number' && total > 0 ? Math.min(1, Math.max(0, current / total)) : null;
}

export function progressBar() {
  const fill = h('span', { class: 'bar-fill' });
  const bar = h('span', { class: 'bar', role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-label': t('progress.label') }, fill);
  const words = h('span', { class: 'bar-words' });
  const element = h('div', { class: 'progress' }, bar, words);
  const update = (progress, running = true) => {
    const share = shareOf(progress);
    element.hidden = !progress;
    fill.style.setProperty('--share', share ?? 0);
    setAttribute(bar, 'data-open', share === null && running ? '' : null);
    setAttribute(bar, 'aria-valuenow', share === null ? null : Math.round(share * 100));
    setText(words, sentence(progress, share));
  };
  return { element, update };
}

function sentence(progress, share) {
  if (!progress) return '';
  const said = String(progress.status ?? '');
  if (share === null) return said;
  const figures = `${number(progress.current)}/${number(progress.total)}`;
  return [figures, said || percent(share)].join(' - ');
}
