/** The last hour, or as long as is chosen, in three charts: is work flowing, what fails, who waits too long. */
import { chart } from '../chart.js';
import { h, setAttribute, setText } from '../dom.js';
import { duration, number, short } from '../format.js';
import { locale, t } from '../i18n.js';

/** Between two marks of an axis, in milliseconds: such as are said in one unit. */
const SPANS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, ...[1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1440, 2880, 7200].map((minutes) => minutes * 60_000)];

const CHARTS = [
  {
    name: 'flow',
    format: short,
    series: [['enqueued', '--grey'], ['succeeded', '--green']],
    big: ({ window, minutes }) => t('chart.flow.big', { rate: perMinute(window.succeeded + window.failed + window.cancelled, minutes) }),
  },
  {
    name: 'failures',
    format: short,
    bars: true,
    series: [['failed', '--red'], ['retried', '--amber']],
    big: ({ window, minutes }) => t('chart.failures.big', { count: window.failed, number: number(window.failed), span: t(`range.${minutes}`) }),
  },
  {
    name: 'waits',
    format: duration,
    steps: SPANS,
    series: [['wait_p95_ms', '--blue'], ['run_p95_ms', '--violet']],
    big: ({ window }) => (window.wait_p95_ms === null ? '–' : t('chart.waits.big', { span: duration(window.wait_p95_ms) })),
  },
];

const perMinute = (count, minutes) => (count / minutes < 10 ? Math.round((count / minutes) * 10) / 10 : Math.round(count / minutes)).toLocaleString(locale());

export function charts() {
  const all = CHARTS.map(make);
  return {
    element: h('div', { class: 'charts', tabindex: '0', role: 'group', 'aria-label': t('charts.label') }, all.map((each) => each.element)),
    update: (stats) => all.forEach((each) => each.update(stats)),
    leave: () => all.forEach((each) => each.leave()),
  };
}

function make({ name, format, steps, series, big, bars }) {
  const figure = h('p', { class: 'chart-big' });
  const drawn = chart({ format, steps, bars, series: series.map(([key, tone]) => ({ label: t(`series.${key}`), tone })) });
  return {
    element: h('section', { class: 'panel chart-panel', 'aria-labelledby': `chart-${name}` }, h('div', { class: 'chart-head' }, h('h2', { id: `chart-${name}`, text: t(`chart.${name}`) }), figure), drawn.element),
    update(stats) {
      const words = big(stats);
      setText(figure, words);
      drawn.update(stats.series.map((each) => new Date(each.minute) / 1000), series.map(([key]) => stats.series.map((each) => each[key])), `${t(`chart.${name}`)}: ${words}`);
    },
    leave: drawn.leave,
  };
}

/** Minutes that can be chosen. */
export const RANGES = ['15', '60', '360', '1440'];

/** @param {(minutes: string) => void} chosen */
export function rangeButtons(chosen) {
  const buttons = RANGES.map((minutes) => h('button', { class: 'tab', type: 'button', text: t(`range.${minutes}`), on: { click: () => chosen(minutes) } }));
  return {
    element: h('div', { class: 'tabs', role: 'group', 'aria-label': t('range.label') }, buttons),
    update: (now) => RANGES.forEach((minutes, at) => setAttribute(buttons[at], 'aria-pressed', String(minutes === now))),
  };
}
