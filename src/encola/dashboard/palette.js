/** Ctrl K: go to a screen, start a task, change the look, or open a task by its id. */
import { h, refill, setAttribute } from './dom.js';
import { icon } from './icons.js';
import { LANGUAGES, language, setLanguage, t } from './i18n.js';
import { NAVIGATION } from './navigation.js';
import { go, link } from './router.js';
import { setTheme, THEMES } from './theme.js';
import { hasForm, taskTypes, typeName } from './types.js';

/** What looks like an id that was pasted: no spaces, and a digit or a dash in it. */
const looksLikeId = (text) => /^\S{8,255}$/.test(text) && /[\d-]/.test(text);

let entries = [];

async function allEntries() {
  const screens = NAVIGATION.map(([name]) => ({ symbol: name, label: t(`nav.${name}`), run: () => go(link(name)) }));
  const types = await taskTypes().catch(() => []);
  return [
    ...screens,
    { symbol: 'docs', label: t('nav.docs'), run: () => location.assign('/docs') },
    ...types.filter(hasForm).map(({ name }) => ({ symbol: 'new', label: t('palette.new', { type: typeName(name) }), run: () => go(link('new', { type: name })) })),
    ...THEMES.map((name) => ({ symbol: { system: 'system', light: 'sun', dark: 'moon' }[name], label: t(`palette.theme.${name}`), run: () => setTheme(name) })),
    ...LANGUAGES.filter((tag) => tag !== language()).map((tag) => ({ symbol: 'edit', label: t('language.other'), run: () => setLanguage(tag) })),
  ];
}

/** Without accents and capitals, so that "grafico" finds "Gráfico". */
const folded = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

function matching(text) {
  const words = folded(text).split(/\s+/).filter(Boolean);
  const found = entries.filter(({ label }) => words.every((word) => folded(label).includes(word)));
  const id = text.trim();
  if (looksLikeId(id)) found.unshift({ symbol: 'open', label: t('palette.open', { id }), run: () => go(link('task', {}, id)) });
  return found;
}

export async function openPalette() {
  if (document.querySelector('dialog[open]')) return;
  const input = h('input', { class: 'palette-input', type: 'text', role: 'combobox', 'aria-expanded': 'true', 'aria-controls': 'palette-list', 'aria-autocomplete': 'list', 'aria-label': t('palette.label'), placeholder: t('palette.placeholder'), autocomplete: 'off', spellcheck: 'false' });
  const list = h('ul', { class: 'palette-list', id: 'palette-list', role: 'listbox', 'aria-label': t('palette.label') });
  const dialog = h('dialog', { class: 'palette', 'aria-label': t('palette.label'), on: { close: () => dialog.remove(), click: (event) => event.target === dialog && dialog.close() } }, h('div', { class: 'palette-field' }, icon('search'), input), list);
  let found = [];
  let at = 0;

  const run = (entry) => {
    dialog.close();
    entry?.run();
  };
  const mark = (next) => {
    at = Math.max(0, Math.min(found.length - 1, next));
    [...list.children].forEach((option, index) => setAttribute(option, 'aria-selected', String(index === at)));
    setAttribute(input, 'aria-activedescendant', found.length ? `palette-${at}` : null);
    list.children[at]?.scrollIntoView({ block: 'nearest' });
  };
  const show = () => {
    found = matching(input.value);
    refill(list, found.map((entry, index) => h('li', { class: 'palette-option', role: 'option', id: `palette-${index}`, on: { click: () => run(entry), pointermove: () => at !== index && mark(index) } }, icon(entry.symbol), h('span', { text: entry.label }))));
    if (!found.length) refill(list, h('li', { class: 'palette-none', role: 'option', 'aria-disabled': 'true', text: t('palette.none') }));
    mark(0);
  };
  const steps = { ArrowDown: () => mark(at + 1), ArrowUp: () => mark(at - 1), Enter: () => run(found[at]) };
  input.addEventListener('input', show);
  input.addEventListener('keydown', (event) => {
    if (!steps[event.key] || event.isComposing) return;
    event.preventDefault();
    steps[event.key]();
  });
  document.body.append(dialog);
  dialog.showModal();
  show();
  entries = await allEntries();
  show();
}
