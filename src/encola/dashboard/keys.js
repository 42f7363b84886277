/** The whole app by keyboard. Single keys can be switched off in the list of keys (WCAG 2.1.4). */
import { openDialog } from './dialog.js';
import { h } from './dom.js';
import { t } from './i18n.js';
import { openPalette } from './palette.js';
import { recall, remember } from './prefs.js';
import { go, link } from './router.js';

/** Pressed after `g`: where to go. */
const PLACES = { h: 'home', t: 'tasks', n: 'new', q: 'queues', w: 'workers', s: 'schedules', f: 'files', r: 'reports', m: 'mailbox' };

const singleKeys = () => recall('keys') !== 'off';

export function startKeys(shell) {
  let after = '';
  let forget = 0;
  const single = {
    '?': showKeys,
    n: () => go(link('new')),
    '/': () => search(shell),
    j: () => step(1),
    k: () => step(-1),
    g: () => {
      after = 'g';
      clearTimeout(forget);
      forget = setTimeout(() => { after = ''; }, 1500);
    },
  };
  addEventListener('keydown', (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      openPalette();
      return;
    }
    if (!isFree(event)) return;
    const goTo = after === 'g' && PLACES[event.key];
    after = '';
    const run = goTo ? () => go(link(goTo)) : single[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  });
}

/** Nobody is typing, choosing or answering a question. */
function isFree(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !singleKeys()) return false;
  return !document.querySelector('dialog[open]') && !event.target.closest?.('input, textarea, select, [contenteditable]');
}

function search(shell) {
  const input = shell.main.querySelector('input[type="search"]');
  if (input) input.focus();
  else openPalette();
}

function step(by) {
  const rows = [...document.querySelectorAll('.row-id, .card-id, .mail')];
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
}

const LISTED = [
  [['Ctrl', 'K'], 'palette'], [['/'], 'search'], [['n'], 'new'], [['j'], 'down'], [['k'], 'up'], [['Enter'], 'open'], [['Esc'], 'close'],
  ...Object.entries(PLACES).map(([key, name]) => [['g', key], `go.${name}`]), [['?'], 'help'],
];

export function showKeys() {
  if (document.querySelector('dialog[open]')) return;
  const toggle = h('input', { class: 'switch', type: 'checkbox', role: 'switch', id: 'single-keys', on: { change: () => remember('keys', toggle.checked ? null : 'off') } });
  toggle.checked = singleKeys();
  const rows = LISTED.map(([keys, name]) => h('div', null, h('dt', null, keys.map((key) => h('kbd', { text: key }))), h('dd', { text: name.startsWith('go.') ? t('keys.go', { place: t(`nav.${name.slice(3)}`) }) : t(`keys.${name}`) })));
  openDialog({
    title: t('keys.title'),
    content: [h('dl', { class: 'keys' }, rows), h('div', { class: 'switch-row' }, toggle, h('label', { for: 'single-keys', text: t('keys.single') }))],
  });
}

