/** What stays while screens change: navigation, the bar on top, and where a screen stands. */
import { h, refill, setAttribute } from './dom.js';
import { icon, logo } from './icons.js';
import { t } from './i18n.js';
import { languageButton } from './parts/language-button.js';
import { liveBadge } from './parts/live-badge.js';
import { themeButton } from './parts/theme-button.js';
import { NAVIGATION } from './navigation.js';
import { openPalette } from './palette.js';
import { link } from './router.js';
import { showKeys } from './keys.js';

export function makeShell(root) {
  const main = h('main', { id: 'main', class: 'main', tabindex: '-1' });
  const links = NAVIGATION.map(([name]) => navigationLink(name));
  const side = h('nav', { class: 'side', id: 'side', 'aria-label': t('nav.label') }, brand(), h('ul', { class: 'side-list' }, links), sideFoot());
  const menu = menuButton(root);
  root.append(
    h('a', { class: 'skip', href: '#main', text: t('nav.skip'), on: { click: (event) => { event.preventDefault(); main.focus(); } } }),
    side,
    h('div', { class: 'veil', on: { click: () => menu.close() } }),
    h('header', { class: 'top' }, menu.element, h('a', { class: 'top-brand', href: '#/', 'aria-label': 'encola' }, logo()), paletteButton(), h('div', { class: 'top-tools' }, liveBadge(), languageButton(), themeButton())),
    main,
  );
  return {
    main,
    /** Puts a screen into its place. */
    show(name, screen) {
      refill(main, screen.element);
      setAttribute(main, 'data-screen', name);
      scrollTo(0, 0);
      const heading = main.querySelector('h1');
      document.title = heading ? `${heading.textContent} · encola` : 'encola';
    },
    /** Marks where we are. */
    located({ name }) {
      NAVIGATION.forEach(([, under], at) => {
        setAttribute(links[at].firstElementChild, 'aria-current', under.includes(name) ? 'page' : null);
      });
      menu.close();
    },
  };
}

function brand() {
  return h('a', { class: 'brand', href: '#/' }, logo(), h('span', { text: 'encola' }));
}

function navigationLink(name) {
  return h('li', null, h('a', { class: 'side-link', href: link(name) }, icon(name), h('span', { text: t(`nav.${name}`) })));
}

function sideFoot() {
  return h(
    'div',
    { class: 'side-foot' },
    h('a', { class: 'side-link', href: '/docs' }, icon('docs'), h('span', { text: t('nav.docs') })),
    h('button', { class: 'side-link', type: 'button', on: { click: showKeys } }, icon('keyboard'), h('span', { text: t('keys.title') }), h('kbd', { text: '?' })),
  );
}

function paletteButton() {
  return h(
    'button',
    { class: 'palette-button', type: 'button', 'aria-label': t('palette.button'), 'aria-keyshortcuts': 'Control+K', on: { click: openPalette } },
    icon('search'),
    h('span', { text: t('palette.button') }),
    h('kbd', { text: 'Ctrl K' }),
  );
}

/** The navigation lies beside the page where there is room, and is a drawer where there is none. */
function menuButton(root) {
  const element = h('button', { class: 'icon-button menu-button', type: 'button', 'aria-expanded': 'false', 'aria-controls': 'side', 'aria-label': t('nav.menu') }, icon('menu'));
  const open = (wanted) => {
    root.classList.toggle('side-open', wanted);
    setAttribute(element, 'aria-expanded', String(wanted));
  };
  element.addEventListener('click', () => {
    open(!root.classList.contains('side-open'));
    // The drawer comes before its button in the page: who goes by Tab would have to look for it.
    if (root.classList.contains('side-open')) root.querySelector('.side-link').focus();
  });
  root.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !root.classList.contains('side-open')) return;
    open(false);
    element.focus();
  });
  return { element, close: () => open(false) };
}
