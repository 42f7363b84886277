/** What stays while screens change: navigation, the bar on top, and where a screen stands. */
import { announce } from './announce.js';
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
import { comeBack } from './scroll.js';

export function makeShell(root) {
  const main = h('main', { id: 'main', class: 'main', tabindex: '-1' });
  const links = NAVIGATION.map(([name]) => navigationLink(name));
  const side = h('nav', { class: 'side', id: 'side', 'aria-label': t('nav.label') }, brand(), h('ul', { class: 'side-list' }, links), sideFoot());
  const menu = menuButton(root);
  // The first one a reader of the screen says by itself, with the page.
  let isSaid = false;
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
      // What had the focus goes with the old screen; the next Tab is to be in the new one.
      const isLost = main.contains(document.activeElement);
      refill(main, screen.element);
      setAttribute(main, 'data-screen', name);
      if (isLost) main.focus({ preventScroll: true });
      comeBack(main);
    },
    /** Marks where we are, and says so to who cannot see it. */
    located({ name }) {
      NAVIGATION.forEach(([, under], at) => {
        setAttribute(links[at].firstElementChild, 'aria-current', under.includes(name) ? 'page' : null);
      });
      if (menu.close()) main.focus({ preventScroll: true });
      const heading = main.querySelector('h1')?.textContent ?? '';
      const title = [heading, 'encola'].filter(Boolean).join(' · ');
      if (title === document.title) return;
      if (isSaid) announce(heading);
      isSaid = true;
      document.title = title;
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
  return {
    element,
    /** @returns {boolean} whether it was open */
    close() {
      const wasOpen = root.classList.contains('side-open');
      open(false);
      return wasOpen;
    },
  };
}
