/** The three situations that are no content: loading, empty, and what went wrong. */
import { h } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { listen } from '../live.js';

export function loading(sentence = t('loading')) {
  return h('div', { class: 'situation situation-loading', 'aria-busy': 'true' }, h('span', { class: 'spinner', 'aria-hidden': 'true' }), h('p', { text: sentence }));
}

/** @param {{title: string, text?: string, symbol?: string}} what */
export function empty({ title, text, symbol = 'tasks' }, ...more) {
  return h('div', { class: 'situation' }, h('span', { class: 'situation-symbol' }, icon(symbol)), h('p', { class: 'situation-title', text: title }), text && h('p', { class: 'situation-text', text }), more);
}

/** *again* is a button, and is done by itself when the service is back. */
export function failed(error, again) {
  const element = h(
    'div',
    { class: 'situation situation-failed', role: 'alert' },
    h('span', { class: 'situation-symbol' }, icon('FAILURE')),
    h('p', { class: 'situation-title', text: error.sentence ?? t('error.unknown') }),
    error.code && h('code', { class: 'code-tag', text: error.code }),
    again && h('button', { class: 'button', type: 'button', on: { click: again } }, icon('refresh'), h('span', { text: t('again') })),
  );
  const stop = listen('status', (status) => {
    if (!element.isConnected) stop();
    else if (status === 'live') again?.();
  });
  return element;
}
