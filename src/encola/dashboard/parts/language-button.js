/** The other language, one press away. */
import { h } from '../dom.js';
import { LANGUAGES, language, setLanguage, t } from '../i18n.js';

export function languageButton() {
  const other = LANGUAGES.find((tag) => tag !== language());
  return h('button', {
    class: 'icon-button text', type: 'button', lang: other, text: other.toUpperCase(),
    'aria-label': `${other.toUpperCase()}: ${t('language.other')}`, title: t('language.other'), on: { click: () => setLanguage(other) },
  });
}
