/** What a task wrote while it ran, as it writes it: the stream follows, and goes on where it was cut off. */
import { address, taskPath } from '../api.js';
import { h, setAttribute, setText } from '../dom.js';
import { readEvents } from '../events.js';
import { number } from '../format.js';
import { locale, t } from '../i18n.js';

/** Lines shown; older ones are with the API. */
const MOST = 2000;
const PAUSE_MS = 2000;
const LEVELS = ['debug', 'info', 'warning', 'error', 'critical'];
const CLOCK = new Intl.DateTimeFormat(locale(), { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23' });

export function taskLog(id) {
  const lines = h('ol');
  const roll = h('div', { class: 'log', tabindex: '0', role: 'group', 'aria-label': t('log.title') }, lines);
  const level = h('select', { class: 'input small', 'aria-label': t('log.level') }, LEVELS.map((each) => h('option', { value: each, text: t(`log.${each}`) })));
  const note = h('span', { class: 'part-note' });
  const none = h('p', { class: 'part-note', text: t('log.none') });
  const element = h('section', { class: 'part' }, h('div', { class: 'part-head' }, h('h3', { text: t('log.title') }), note, level), none, roll);
  let stopped = new AbortController();
  let last = null;
  let attempt = null;
  let waiting = [];
  let frame = 0;
  // Who has scrolled up reads; who is at the end follows. Lines may come before there is a place to scroll in.
  let follows = true;
  const toEnd = () => follows && roll.scrollTo(0, roll.scrollHeight);
  const placed = new ResizeObserver(toEnd);
  placed.observe(roll);
  roll.addEventListener('scroll', () => { follows = roll.scrollHeight - roll.scrollTop - roll.clientHeight < 24; });

  const show = () => {
    frame = 0;
    for (const each of waiting.slice(-MOST)) {
      lines.append(line(each, attempt !== null && each.attempt !== attempt));
      attempt = each.attempt;
    }
    waiting = [];
    while (lines.childElementCount > MOST) lines.firstElementChild.remove();
    const count = lines.childElementCount;
    roll.hidden = count === 0;
    none.hidden = count > 0;
    setText(note, count ? t('log.count', { count, number: number(count) }) : '');
    toEnd();
  };
  const take = ({ id: at, name, data }) => {
    if (name !== 'log') return;
    last = at;
    waiting.push(JSON.parse(data));
    frame ||= requestAnimationFrame(show);
  };

  async function follow(signal) {
    while (!signal.aborted) {
      const path = address(taskPath(id, '/logs/events'), { level: level.value });
      const status = await readEvents(path, { lastId: last, signal, event: take }).catch((error) => error.status);
      if (status === 404) return;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
  const begin = () => {
    stopped.abort();
    stopped = new AbortController();
    last = null;
    attempt = null;
    lines.replaceChildren();
    show();
    follow(stopped.signal);
  };
  level.addEventListener('change', begin);
  begin();

  return {
    element,
    leave() {
      stopped.abort();
      placed.disconnect();
      cancelAnimationFrame(frame);
    },
  };
}

/** @param {boolean} begins an attempt after another one: what it wrote stands under its number */
function line({ at, attempt, level, source, message }, begins) {
  const element = h(
    'li',
    { class: 'log-line', data: { level } },
    begins && h('span', { class: 'log-attempt', text: t('timeline.run', { number: attempt }) }),
    h('time', { datetime: at, text: CLOCK.format(new Date(at)) }),
    h('span', { class: 'log-level', text: level }),
    h('span', { class: 'log-source', text: source }),
    h('span', { class: 'log-message', text: message }),
  );
  setAttribute(element, 'title', t('timeline.run', { number: attempt }));
  return element;
}
