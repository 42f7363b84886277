/** Sentences in the reader's language: the chosen one, else the browser's, else the page's. */
import { recall, remember } from './prefs.js';
import { en } from './i18n/en.js';
import { es } from './i18n/es.js';

const SENTENCES = { es, en };
export const LANGUAGES = Object.keys(SENTENCES);

let current = choose();
let plural = new Intl.PluralRules(current);

function choose() {
  const wanted = [recall('language'), ...(navigator.languages ?? []), document.documentElement.lang];
  const known = wanted.map((tag) => String(tag ?? '').slice(0, 2).toLowerCase());
  return known.find((tag) => LANGUAGES.includes(tag)) ?? 'es';
}

export function language() {
  return current;
}

/** The reader's own kind of it for dates and numbers: 29 Nov in London, Nov 29 in New York. */
export function locale() {
  const own = (navigator.languages ?? []).find((tag) => tag.toLowerCase().split(/[-_]/)[0] === current);
  try {
    return Intl.getCanonicalLocales(own ?? current)[0];
  } catch {
    // Some browsers name what their system is set to, which need be no language: `en-US@posix`.
    return current;
  }
}

/** The page is made anew: every sentence changes, and the address holds the whole view. */
export function setLanguage(wanted) {
  remember('language', wanted);
  location.reload();
}

/**
 * The sentence for *key* with `{name}` replaced. Where the key has `one` and `other`,
 * `values.count` decides.
 */
export function t(key, values = {}) {
  const found = SENTENCES[current][key];
  if (found === undefined) throw new Error(`no sentence ${key} in ${current}`);
  const sentence = typeof found === 'string' ? found : (found[plural.select(values.count)] ?? found.other);
  return sentence.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

/** The sentence, or *otherwise* where there is none for this key. */
export function tOr(key, otherwise) {
  return Object.hasOwn(SENTENCES[current], key) ? t(key) : otherwise;
}
