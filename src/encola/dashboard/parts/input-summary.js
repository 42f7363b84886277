/** An input in one line: its names and values, cut where it gets long. */
import { h, refill } from '../dom.js';

const MOST = 160;

const shown = (value) => (typeof value === 'string' ? value : JSON.stringify(value) ?? '').replace(/\s+/g, ' ').slice(0, 60);

export function inputSummary(kind) {
  const element = h('span', { class: kind });
  let last = null;
  const update = (input) => {
    if (input === last) return;
    last = input;
    const parts = [];
    let length = 0;
    for (const [name, value] of Object.entries(input ?? {})) {
      if (value === null || length > MOST) continue;
      const text = shown(value);
      length += name.length + text.length + 3;
      parts.push(parts.length ? ' · ' : '', `${name} `, h('b', { text }));
    }
    refill(element, parts);
  };
  return { element, update };
}
