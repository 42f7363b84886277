/** The bar with `current/total - sentence` under it. */
import { h, setAttribute, setText } from '../dom.js';
import { duration, number, oneDecimal, percent } from '../format.js';
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
  const update = (progress, { running = true, since = null } = {}) => {
    const share = shareOf(progress);
    element.hidden = !progress;
    fill.style.setProperty('--share', share ?? 0);
    setAttribute(bar, 'data-open', share === null && running ? '' : null);
    setAttribute(bar, 'aria-valuenow', share === null ? null : Math.round(share * 100));
    setText(words, [sentence(progress, share), running && pace(progress, share, since)].filter(Boolean).join(' · '));
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

/** How fast, and how long it will take at that: once there is enough to judge by. */
function pace(progress, share, since) {
  const seconds = since ? (Date.now() - new Date(since)) / 1000 : 0;
  if (!share || share >= 1 || seconds < 2) return '';
  const rate = progress.current / seconds;
  const speed = rate >= 1 ? t('progress.perSecond', { rate: oneDecimal(rate) }) : t('progress.perMinute', { rate: oneDecimal(rate * 60) });
  return `${speed} · ${t('progress.left', { span: duration(((progress.total - progress.current) / rate) * 1000) })}`;
}
