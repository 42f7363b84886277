/** Icons of our own, drawn on a 16 x 16 grid with the text's colour. Always beside a word or under a label. */
import { svg } from './dom.js';

/** name -> paths, stroked. */
const PATHS = {
  home: ['M2.5 7 8 2.5 13.5 7', 'M4 6.5v7h8v-7', 'M6.75 13.5v-4h2.5v4'],
  tasks: ['M2.5 4h.01M2.5 8h.01M2.5 12h.01', 'M5.5 4h8M5.5 8h8M5.5 12h8'],
  new: ['M8 3v10M3 8h10'],
  queues: ['M2.5 3.5h11v3h-11z', 'M2.5 9.5h11v3h-11z'],
  workers: ['M3.5 3.5h9v9h-9z', 'M6 6h4v4H6z', 'M6 1.5v2M10 1.5v2M6 12.5v2M10 12.5v2M1.5 6h2M1.5 10h2M12.5 6h2M12.5 10h2'],
  schedules: ['M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z', 'M8 4.75V8l2.25 1.5'],
  files: ['M4 1.75h5l3.25 3.25v9.25H4z', 'M9 1.75V5h3.25'],
  reports: ['M2.5 13.5h11', 'M4.5 11V7.5M8 11V3.5M11.5 11V6'],
  mailbox: ['M2 3.75h12v8.5H2z', 'm2.25 4.25 5.75 4.5 5.75-4.5'],
  docs: ['M5.5 4.5 2 8l3.5 3.5M10.5 4.5 14 8l-3.5 3.5'],
  search: ['M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9z', 'm10.5 10.5 3.25 3.25'],
  menu: ['M2.5 4.5h11M2.5 8h11M2.5 11.5h11'],
  close: ['m3.75 3.75 8.5 8.5M12.25 3.75l-8.5 8.5'],
  copy: ['M5.75 5.75h7.5v7.5h-7.5z', 'M3.5 10.25H2.75v-7.5h7.5v.75'],
  refresh: ['M13 8a5 5 0 1 1-1.6-3.7', 'M13.25 2v3h-3'],
  cancel: ['M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z', 'm3.9 3.9 8.2 8.2'],
  retry: ['M3 8a5 5 0 1 0 1.6-3.7', 'M2.75 2v3h3'],
  edit: ['m3 13 .6-2.75L10.5 3.4l2.1 2.1-6.85 6.9z'],
  open: ['M9.25 2.75h4v4', 'm13 3-5.5 5.5', 'M11.5 9.5v3.75H2.75V4.5H6.5'],
  download: ['M8 2.5v8M4.75 7.5 8 10.75 11.25 7.5', 'M2.75 13.5h10.5'],
  pause: ['M5.5 3.5v9M10.5 3.5v9'],
  play: ['M5 3.25v9.5l7.5-4.75z'],
  bell: ['M4 11.5V7a4 4 0 0 1 8 0v4.5l1 .75H3z', 'M6.75 14.25h2.5'],
  sun: ['M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6z', 'M8 1.5v1.25M8 13.25v1.25M1.5 8h1.25M13.25 8h1.25M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9'],
  moon: ['M13 9.5A5.5 5.5 0 1 1 6.5 3a4.5 4.5 0 0 0 6.5 6.5z'],
  system: ['M2 3h12v8H2z', 'M5.5 13.5h5'],
  keyboard: ['M1.75 4.25h12.5v7.5H1.75z', 'M4.25 6.75h.01M6.75 6.75h.01M9.25 6.75h.01M11.75 6.75h.01M5.5 9.25h5'],
  chevron: ['m6 3.5 4.5 4.5L6 12.5'],
  trash: ['M3 4.25h10M6.25 4.25V2.5h3.5v1.75M4.5 4.25l.6 9.25h5.8l.6-9.25'],
  upload: ['M8 11V3M4.75 6.25 8 3l3.25 3.25', 'M2.75 13.5h10.5'],
  PENDING: ['M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11z'],
  SCHEDULED: ['M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11z', 'M8 5v3l2 1.25'],
  STARTED: ['M5.25 3.5v9l7-4.5z'],
  PROCESSING: ['M5.25 3.5v9l7-4.5z'],
  RETRY: ['M3.25 8a4.75 4.75 0 1 0 1.5-3.5', 'M3 2.25v2.9h2.9'],
  SUCCESS: ['m3.25 8.5 3.25 3.25 6.25-7'],
  FAILURE: ['M8 2.25 14.25 13.5H1.75z', 'M8 6.5v3M8 11.6v.01'],
  REVOKED: ['M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11z', 'm4.25 4.25 7.5 7.5'],
};

export function icon(name) {
  return svg(
    'svg',
    { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true', focusable: 'false' },
    (PATHS[name] ?? []).map((path) => svg('path', { d: path })),
  );
}

/** The queue, drawn: what waits, and the one whose turn it is. */
export function logo() {
  const bar = (y, width, tone) => svg('rect', { x: 7, y, width, height: 4.5, rx: 2.25, class: tone });
  return svg(
    'svg',
    { class: 'logo', viewBox: '0 0 32 32', 'aria-hidden': 'true', focusable: 'false' },
    svg('rect', { width: 32, height: 32, rx: 8, class: 'logo-ground' }),
    bar(7.5, 18, 'logo-next'),
    bar(13.75, 12.5, 'logo-bar'),
    bar(20, 18, 'logo-bar'),
  );
}
