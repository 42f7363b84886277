/** Light, dark, or the system's. The stylesheet does the rest. */
import { recall, remember } from './prefs.js';

export const THEMES = ['system', 'light', 'dark'];

export function theme() {
  const chosen = recall('theme');
  return THEMES.includes(chosen) ? chosen : 'system';
}

export function setTheme(wanted) {
  remember('theme', wanted === 'system' ? null : wanted);
  if (wanted === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
  document.dispatchEvent(new Event('themechange'));
}

export function nextTheme() {
  return THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  document.dispatchEvent(new Event('themechange'));
});
