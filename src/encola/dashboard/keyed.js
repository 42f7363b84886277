/**
 * A list that is brought up to date instead of made anew: rows keep their element, and with it
 * focus, selection and typed text.
 */

const rowsOf = new WeakMap();

/**
 * @param {Element} parent holds the rows and nothing else
 * @param {Array} items in the wanted order
 * @param {(item) => string} keyOf
 * @param {(item) => {element: Element, update: (item) => void}} make
 */
export function keyed(parent, items, keyOf, make) {
  const before = rowsOf.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const row = before.get(key) ?? make(item);
    row.update(item);
    now.set(key, row);
  }
  for (const [key, row] of before) if (!now.has(key)) row.element.remove();
  place(parent, now.values());
  rowsOf.set(parent, now);
  return now;
}

function place(parent, rows) {
  let next = parent.firstElementChild;
  for (const { element } of rows) {
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
}
