/** Notices of success and error, in a corner; they go by themselves, errors stay until they are closed. */
import { announce } from './announce.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { t } from './i18n.js';

const STAY_MS = 6000;
const MOST = 4;

/**
 * @param {string} sentence
 * @param {{kind?: 'success'|'error'|'info', action?: {label: string, run: Function}, href?: string, hrefLabel?: string}} [options]
 */
export function notify(sentence, { kind = 'success', action, href, hrefLabel } = {}) {
  const corner = document.getElementById('notices');
  const close = () => notice.remove();
  const notice = h(
    'div',
    { class: `notice notice-${kind}` },
    icon(kind === 'error' ? 'FAILURE' : kind === 'success' ? 'SUCCESS' : 'bell'),
    h('p', { class: 'notice-text', text: sentence }),
    href && h('a', { class: 'notice-link', href, text: hrefLabel, on: { click: close } }),
    action && h('button', { class: 'link-button', type: 'button', text: action.label, on: { click: () => { close(); action.run(); } } }),
    h('button', { class: 'icon-button small', type: 'button', 'aria-label': t('notice.close'), on: { click: close } }, icon('close')),
  );
  corner.append(notice);
  while (corner.children.length > MOST) corner.firstElementChild.remove();
  announce(sentence);
  if (kind !== 'error') setTimeout(close, STAY_MS);
  return close;
}

/** The same for whatever was thrown: a problem of the API says its own sentence. */
export function notifyError(error) {
  if (error.name === 'AbortError') return;
  if (!error.code) console.error(error);
  notify(error.sentence ?? t('error.unknown'), { kind: 'error' });
}
