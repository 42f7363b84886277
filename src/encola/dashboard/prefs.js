/** What this browser remembers: language, theme, keys. Works, for the page's life, where storage is forbidden. */

const memory = new Map();

export function recall(name) {
  try {
    return localStorage.getItem(`encola.${name}`) ?? memory.get(name) ?? null;
  } catch {
    return memory.get(name) ?? null;
  }
}

/** null forgets. */
export function remember(name, value) {
  memory.set(name, value);
  try {
    if (value === null) localStorage.removeItem(`encola.${name}`);
    else localStorage.setItem(`encola.${name}`, value);
  } catch {
    // Kept in memory, above.
  }
}
