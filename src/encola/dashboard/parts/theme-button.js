/** Goes round: the system's theme, light, dark. */
import { h, refill, setAttribute } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { nextTheme, setTheme, theme } from '../theme.js';

const ICONS = { system: 'system', light: 'sun', dark: 'moon' };

export function themeButton() {
  const button = h('button', { class: 'icon-button', type: 'button', on: { click: () => setTheme(nextTheme()) } });
  const show = () => {
    refill(button, icon(ICONS[theme()]));
    setAttribute(button, 'aria-label', t(`theme.${theme()}`));
    setAttribute(button, 'title', t(`theme.${theme()}`));
  };
  document.addEventListener('themechange', show);
  show();
  return button;
}
