/** Numbers, times and sizes in the reader's language, by Intl; one formatter each, as making one is slow. */
import { locale, t } from './i18n.js';

const tag = locale();
const whole = new Intl.NumberFormat(tag, { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat(tag, { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(tag, { notation: 'compact', maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 0 });
const clockTime = new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const dayTime = new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const fullTime = new Intl.DateTimeFormat(tag, { dateStyle: 'long', timeStyle: 'long', hourCycle: 'h23' });
const ago = new Intl.RelativeTimeFormat(tag, { numeric: 'always', style: 'short' });
const now = new Intl.RelativeTimeFormat(tag, { numeric: 'auto' }).format(0, 'second');
const minute = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
const clockMinute = new Intl.DateTimeFormat(tag, minute);
const dayMinute = new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'short', ...minute });

export const number = (value) => whole.format(value);
export const short = (value) => (value < 10_000 ? whole.format(value) : compact.format(value));
export const oneDecimal = (value) => decimal.format(value);
export const percent = (part) => share.format(part);
export const full = (moment) => fullTime.format(new Date(moment));

/** Today only the time, else with the day. */
export const when = (moment) => said(new Date(moment), clockTime, dayTime);

/** The same of what is planned: with seconds only where it is planned by the second. */
export function planned(moment) {
  const date = new Date(moment);
  return date.getSeconds() ? when(moment) : said(date, clockMinute, dayMinute);
}

const said = (date, today, another) => (date.toDateString() === new Date().toDateString() ? today : another).format(date);

const STEPS = [[60, 'second', 1], [3600, 'minute', 60], [86_400, 'hour', 3600], [Infinity, 'day', 86_400]];

/** "now", "3 min ago", "in 2 h". */
export function relative(moment) {
  const seconds = (new Date(moment).getTime() - Date.now()) / 1000;
  if (Math.abs(seconds) < 1) return now;
  const [, unit, size] = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  return ago.format(Math.trunc(seconds / size), unit);
}

/** With spaces at which no line is broken: a number stays with its unit. */
const together = (text) => text.replaceAll(' ', '\u00a0');

/** A span of milliseconds in its two largest units: "850 ms", "4.2 s", "3 min 5 s", "2 h 10 min". */
export const duration = (ms) => together(span(ms));

function span(ms) {
  if (ms < 1000) return `${whole.format(Math.max(0, ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${decimal.format(seconds)} s`;
  if (seconds < 60) return `${whole.format(Math.floor(seconds))} s`;
  if (seconds < 3600) return inTwo(`${Math.floor(seconds / 60)} min`, Math.floor(seconds % 60), 's');
  if (seconds < 86_400) return inTwo(`${Math.floor(seconds / 3600)} h`, Math.floor((seconds % 3600) / 60), 'min');
  return t('span.days', { count: Math.floor(seconds / 86_400), hours: Math.floor((seconds % 86_400) / 3600) });
}

const inTwo = (larger, rest, unit) => (rest ? `${larger} ${rest} ${unit}` : larger);

const BYTE_UNITS = [[1, 'B'], [1024, 'KB'], [1024 ** 2, 'MB'], [1024 ** 3, 'GB']];

/** Bytes, in powers of 1024: "12 KB". */
export function bytes(size) {
  const [one, unit] = BYTE_UNITS.findLast(([least]) => size >= least) ?? BYTE_UNITS[0];
  return together(`${decimal.format(size / one)} ${unit}`);
}

/** The zone in which this page says times. */
export const ownZone = () => clockTime.resolvedOptions().timeZone;

/** What the clocks of *zone* say at a moment, with the day where it is another than here; null where they say the same as here. */
export function elsewhere(moment, zone) {
  const there = wallClock(moment, zone);
  const here = wallClock(moment, ownZone());
  if (!there || (there.day === here.day && there.time === here.time)) return null;
  return there.day === here.day ? there.time : `${there.day}, ${there.time}`;
}

function wallClock(moment, zone) {
  const say = (options) => new Intl.DateTimeFormat(tag, { ...options, timeZone: zone }).format(new Date(moment));
  try {
    return { day: say({ day: 'numeric', month: 'short' }), time: say({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }) };
  } catch {
    // A zone that this browser does not know.
    return null;
  }
}
