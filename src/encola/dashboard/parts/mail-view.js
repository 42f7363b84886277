/**
 * One mail: its head, its text, and its HTML in a frame that may run nothing and load nothing
 * (the service sends it with a policy of its own, and the frame is sandboxed besides).
 */
import { get } from '../api.js';
import { h, refill, setAttribute } from '../dom.js';
import { bytes } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { link } from '../router.js';
import { moment } from './moment.js';
import { failed, loading } from './situations.js';

export function mailView(id) {
  const element = h('div', { class: 'mail-view' }, loading());
  const path = `/mailbox/${encodeURIComponent(id)}`;
  const load = async () => {
    try {
      refill(element, head(await get(path), path));
    } catch (error) {
      refill(element, failed(error, load));
    }
  };
  load();
  return element;
}

function head(mail, path) {
  const body = h('div', { class: 'mail-body' });
  const kinds = ['text', 'html'].filter((kind) => mail[kind] !== null);
  const tabs = kinds.map((kind) => h('button', { class: 'tab', type: 'button', text: t(`mail.${kind}`), on: { click: () => choose(kind) } }));
  const choose = (kind) => {
    kinds.forEach((each, at) => setAttribute(tabs[at], 'aria-pressed', String(each === kind)));
    refill(body, kind === 'html' ? frame(path) : h('pre', { class: 'mail-text', tabindex: '0', role: 'group', 'aria-label': t('mail.text'), text: mail.text ?? '' }));
  };
  if (kinds.length) choose(kinds.at(-1));
  return [
    h('div', { class: 'mail-head' }, h('h2', { text: mail.subject || t('mail.noSubject') }), h('a', { class: 'icon-button mail-close', href: link('mailbox'), 'aria-label': t('panel.close') }, icon('close'))),
    h('dl', { class: 'facts' }, fact('from', mail.from), fact('to', mail.to.join(', ')), fact('received', moment(mail.received_at, 'clock')), fact('size', bytes(mail.size))),
    h('div', { class: 'mail-tools' }, h('div', { class: 'tabs', role: 'group', 'aria-label': t('mail.view') }, kinds.length > 1 && tabs), h('a', { class: 'button small', href: `${path}.eml`, download: true }, icon('download'), h('span', { text: t('mail.download') }))),
    body,
  ];
}

const fact = (name, value) => h('div', null, h('dt', { text: t(`mail.${name}`) }), h('dd', null, value));

const frame = (path) => h('iframe', { class: 'mail-frame', sandbox: '', src: `${path}.html`, title: t('mail.html'), referrerpolicy: 'no-referrer' });
