/**
 * A task's life as bars on one scale: what it waited and what it ran, attempt by attempt.
 * Each bar has its words beside it, so nothing is told by length or colour alone.
 */
import { h, refill, setText } from '../dom.js';
import { duration } from '../format.js';
import { t, tOr } from '../i18n.js';
import { isFinished } from '../states.js';

/** @returns {Array<{kind: 'wait'|'run', start: number, end: number, label: string, outcome: string, worker: string}>} ms */
export function stretches(task, now) {
  const ms = (time) => new Date(time).getTime();
  const found = [];
  let from = ms(task.created_at);
  for (const attempt of task.attempts) {
    const start = ms(attempt.started_at);
    const end = attempt.ended_at ? ms(attempt.ended_at) : now;
    found.push({ kind: 'wait', start: from, end: start, outcome: '' });
    found.push({ kind: 'run', start, end, number: attempt.number, outcome: attempt.outcome ?? '', worker: attempt.worker });
    from = end;
  }
  if (!isFinished(task.state) && !task.attempts.some((attempt) => !attempt.ended_at)) found.push({ kind: 'wait', start: from, end: now, outcome: '' });
  else if (task.state === 'REVOKED' && !task.attempts.length) found.push({ kind: 'wait', start: from, end: ms(task.completed_at), outcome: '' });
  // A wait too short to be seen says nothing; the first one always stands.
  return found.filter((each, at) => each.kind === 'run' || at === 0 || each.end - each.start >= 1);
}

export function timeline() {
  const rows = h('ol', { class: 'timeline' });
  const total = h('span', { class: 'part-note' });
  const element = h('section', { class: 'part' }, h('div', { class: 'part-head' }, h('h3', { text: t('task.timeline') }), total), rows);
  const update = (task) => {
    const found = stretches(task, Date.now());
    const start = found[0]?.start ?? 0;
    const whole = Math.max(1, ...found.map((each) => each.end - start));
    setText(total, found.length ? duration(whole) : '');
    refill(rows, found.map((each) => row(each, start, whole)));
  };
  return { element, update };
}

function row({ kind, start, end, number, outcome, worker }, from, whole) {
  const bar = h('span', { class: 'time-bar', data: { kind, outcome }, css: { '--from': (start - from) / whole, '--size': (end - start) / whole } });
  const label = kind === 'wait' ? t('timeline.wait') : t('timeline.run', { number });
  return h(
    'li',
    { class: 'time-row' },
    h('span', { class: 'time-label' }, label, worker && h('span', { class: 'time-worker mono', text: worker })),
    h('span', { class: 'time-track', 'aria-hidden': 'true' }, bar),
    h('span', { class: 'time-span' }, duration(end - start), outcome && h('span', { class: 'time-outcome', text: tOr(`outcome.${outcome}`, outcome) })),
  );
}
