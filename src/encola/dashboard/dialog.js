/** Dialogs: the browser's own, so focus is held, Escape closes and what lies behind is inert. */
import { h } from './dom.js';
import { icon } from './icons.js';
import { t } from './i18n.js';

/** Opens a dialog that is thrown away when closed. */
export function openDialog({ title, content, actions = [], kind = '' }) {
  const name = `dialog-${crypto.randomUUID?.() ?? Math.random()}`;
  const dialog = h(
    'dialog',
    { class: `dialog ${kind}`, 'aria-labelledby': name, on: { close: () => dialog.remove() } },
    h(
      'div',
      { class: 'dialog-head' },
      h('h2', { id: name, text: title }),
      h('button', { class: 'icon-button', type: 'button', 'aria-label': t('dialog.close'), on: { click: () => dialog.close() } }, icon('close')),
    ),
    h('div', { class: 'dialog-body' }, content),
    actions.length ? h('div', { class: 'dialog-actions' }, actions) : null,
  );
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Asks before something that cannot be undone.
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, yes, danger = true }) {
  return new Promise((resolve) => {
    const answer = (value) => () => {
      resolve(value);
      dialog.close();
    };
    const dialog = openDialog({
      title,
      kind: 'dialog-question',
      content: h('p', { text }),
      actions: [
        h('button', { class: 'button', type: 'button', text: t('dialog.no'), on: { click: answer(false) } }),
        h('button', { class: `button ${danger ? 'danger' : 'primary'}`, type: 'button', text: yes, on: { click: answer(true) } }),
      ],
    });
    dialog.addEventListener('close', () => resolve(false));
    dialog.querySelector('.dialog-actions .button').focus();
  });
}
