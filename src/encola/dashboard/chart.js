/**
 * A small chart of the last minutes, by uPlot, in the page's own colours. Loaded when the first one is shown.
 *
 * The last minute is still under way, so its figures are lower than they will be: it is drawn apart, a line
 * dashed and a bar pale, and said to be so.
 */
import { h, refill, setAttribute, setText } from './dom.js';
import { locale, t } from './i18n.js';

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const probe = document.body.appendChild(h('i', { hidden: true }));
/** As the canvas takes it: a token has the colours of both themes, and is one only where it is used. */
const colour = (name) => {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};
const TIME = new Intl.DateTimeFormat(locale(), { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const HEIGHT = 128;

/**
 * @param {{series: Array<{label: string, tone: string}>, format: (value) => string, bars?: boolean, steps?: number[]}} options
 *   `tone` is a colour of the stylesheet: `--green`; *steps* may lie between two marks of the axis; bars are piled on one another, the first at the foot
 * @returns {{element, update: (times: number[], values: number[][], words: string) => void, leave: () => void}}
 *   times in seconds since 1970; *words* say the same as the picture
 */
export function chart({ series, format, steps = null, bars = false }) {
  const place = h('div', { class: 'chart-place', role: 'img' });
  const legend = h('p', { class: 'chart-legend' });
  const element = h('figure', { class: 'chart' }, place, legend);
  let data = null;
  let drawn = null;
  let plot = null;
  let uPlot = null;

  const say = (at) => {
    const time = data[0][at];
    refill(legend, series.map(({ label, tone }, index) => {
      const value = data[index + 1][at];
      return h('span', { class: 'chart-key', css: { '--tone': `var(${tone})` } }, `${label} `, h('b', { text: value === null || value === undefined ? '–' : format(value) }));
    }), h('span', { class: 'chart-time', text: at === data[0].length - 1 ? t('chart.underWay') : TIME.format(time * 1000) }));
  };

  const draw = () => {
    plot?.destroy();
    plot = new uPlot(settings(uPlot, { series: apart(bars ? series.toReversed() : series), format, steps, bars, width: place.clientWidth || 300, say: (at) => say(at ?? data[0].length - 1) }), drawn, place);
  };

  const resized = new ResizeObserver(() => plot && place.clientWidth && plot.setSize({ width: place.clientWidth, height: HEIGHT }));
  resized.observe(place);
  const repaint = () => plot && draw();
  document.addEventListener('themechange', repaint);
  const loaded = import('./vendor/uPlot.js').then((module) => { uPlot = module.default; });

  return {
    element,
    async update(times, values, words) {
      data = [times, ...values];
      drawn = [times, ...ended(bars ? piled(values) : values), ...underWay(bars ? piled(values) : values, bars ? 1 : 2)];
      setAttribute(place, 'aria-label', words);
      await loaded;
      if (plot) plot.setData(drawn);
      else if (place.isConnected) draw();
      if (plot && plot.cursor.idx === null) say(data[0].length - 1);
      else if (!plot) setText(legend, words);
    },
    leave() {
      resized.disconnect();
      document.removeEventListener('themechange', repaint);
      plot?.destroy();
    },
  };
}

/** Of each series two: its minutes that have ended, and the one that has not. */
const apart = (series) => [...series, ...series.map((each) => ({ ...each, open: true }))];
const ended = (all) => all.map((values) => values.with(-1, null));
/** *points*: a line begins where the other ended. */
const underWay = (all, points) => all.map((values) => values.map((value, at) => (at < values.length - points ? null : value)));

/** Each series on top of those before it, the highest first, as they are painted. */
function piled(values) {
  const sums = [];
  for (const series of values) sums.push(series.map((value, at) => (value ?? 0) + (sums.at(-1)?.[at] ?? 0)));
  return sums.toReversed();
}

/** Room for the longest figure of an axis: "1 min 40 s" is one. */
const wide = (_, figures) => Math.max(44, ...(figures ?? []).map((figure) => 12 + 6 * figure.length));

/** The place of the only figure of a series: a line needs two. */
const alone = ({ data }, index) => {
  const known = data[index].flatMap((value, at) => (value === null || value === undefined ? [] : [at]));
  return known.length === 1 ? known : null;
};

/** A bar stands over its time, half of it on each side. */
const roomy = ({ data: [times] }, from, to) => {
  const half = times.length > 1 ? (times[1] - times[0]) / 2 : 0;
  return [from - half, to + half];
};

function settings(uPlot, { series, format, steps, bars, width, say }) {
  const axis = { stroke: colour('--text-soft'), font: `11px ${token('--font')}`, ticks: { show: false }, gap: 4 };
  const paths = bars ? uPlot.paths.bars({ size: [0.7, 14, 1] }) : uPlot.paths.linear();
  return {
    width,
    height: HEIGHT,
    // Half of a time stands beyond the last one.
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { x: bars ? { range: roomy } : {}, y: { range: (_, __, top) => [0, Math.max(top * 1.1, 4)] } },
    axes: [
      { ...axis, size: 22, space: 60, grid: { show: false }, values: (_, ticks) => ticks.map((tick) => TIME.format(tick * 1000)) },
      { ...axis, ...(steps && { incrs: steps }), size: wide, space: 34, grid: { stroke: colour('--line'), width: 1 }, values: (_, ticks) => ticks.map(format) },
    ],
    series: [{}, ...series.map(({ tone, open }) => ({
      stroke: colour(tone),
      width: bars ? 0 : 1.75,
      dash: open ? [3, 4] : [],
      fill: bars && !open ? colour(tone) : open && !bars ? null : `color-mix(in srgb, ${colour(tone)} ${bars ? 45 : 12}%, transparent)`,
      paths,
      points: { show: false, filter: bars ? () => null : alone, size: 5, fill: colour(tone) },
      spanGaps: true,
    }))],
    hooks: { setCursor: [(plot) => say(plot.cursor.idx)] },
  };
}
