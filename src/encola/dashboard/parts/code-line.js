/** A line for the shell, to be read and copied. */
import { copyButton } from '../copy.js';
import { h, setText } from '../dom.js';
import { t } from '../i18n.js';

export function codeLine(text = '') {
  const code = h('code', { text });
  const element = h('div', { class: 'code-line' }, h('pre', { tabindex: '0', role: 'group', 'aria-label': 'curl' }, code), copyButton(() => code.textContent, t('copy.curl')));
  return { element, update: (next) => setText(code, next) };
}
