/** Saves text that the page holds as a file. */
import { h } from './dom.js';
import { icon } from './icons.js';

/** @param {() => string} textOf asked when it is pressed */
export function downloadButton(name, textOf, label) {
  const save = () => {
    const address = URL.createObjectURL(new Blob([textOf()], { type: 'application/json' }));
    h('a', { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  };
  return h('button', { class: 'icon-button small', type: 'button', 'aria-label': label, title: label, on: { click: save } }, icon('download'));
}
