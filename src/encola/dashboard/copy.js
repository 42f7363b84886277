/** Copies text, and says so. */
import { h } from './dom.js';
import { icon } from './icons.js';
import { t } from './i18n.js';
import { notify } from './notices.js';

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    notify(t('copy.done'));
  } catch {
    notify(t('copy.failed'), { kind: 'error' });
  }
}

/** @param {() => string} textOf asked when it is pressed */
export function copyButton(textOf, label = t('copy')) {
  return h('button', { class: 'icon-button small', type: 'button', 'aria-label': label, title: label, on: { click: () => copyText(textOf()) } }, icon('copy'));
}
