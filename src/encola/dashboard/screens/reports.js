/** The reports that were made: look at one, save it, remove it. */
import { del, get } from '../api.js';
import { ask, openDialog } from '../dialog.js';
import { h, ownPath, refill } from '../dom.js';
import { bytes } from '../format.js';
import { icon } from '../icons.js';
import { t, tOr } from '../i18n.js';
import { keyed } from '../keyed.js';
import { listen } from '../live.js';
import { notify, notifyError } from '../notices.js';
import { paced } from '../pace.js';
import { moment } from '../parts/moment.js';
import { empty, failed, loading } from '../parts/situations.js';
import { link } from '../router.js';

export function reports() {
  const rows = h('ul', { class: 'lines' });
  const more = h('button', { class: 'button', type: 'button', text: t('tasks.more'), on: { click: () => load(next) } });
  const body = h('div', { class: 'list-body' }, loading());
  let items = [];
  let next = null;

  const show = () => {
    if (!items.length) {
      refill(body, empty({ title: t('reports.none'), text: t('reports.noneText'), symbol: 'reports' }, h('a', { class: 'button primary', href: link('new', { type: 'report' }) }, icon('new'), h('span', { text: t('reports.make') }))));
      return;
    }
    if (!rows.isConnected) refill(body, rows, h('div', { class: 'list-foot' }, more));
    keyed(rows, items, (report) => report.name, (report) => reportLine(report, () => load()));
    more.hidden = !next;
  };
  async function load(cursor = null) {
    try {
      const page = await get('/reports', { limit: 50, cursor });
      items = cursor ? [...items, ...page.items] : page.items;
      next = page.next_cursor;
      show();
    } catch (error) {
      if (!items.length) refill(body, failed(error, () => load()));
    }
  }
  const soon = paced(() => load(), 1000);
  const leaving = [listen('reload', soon), listen('events', (events) => events.some((event) => event.type === 'report' && event.state === 'SUCCESS') && soon())];
  load();

  return {
    element: h('div', { class: 'screen' }, h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('nav.reports') }), h('p', { class: 'subtitle', text: t('reports.subtitle') })), h('a', { class: 'button primary', href: link('new', { type: 'report' }) }, icon('new'), h('span', { text: t('reports.make') }))), h('section', { class: 'panel', 'aria-label': t('nav.reports') }, body)),
    update() {},
    leave() {
      soon.stop();
      leaving.forEach((stop) => stop());
    },
  };
}

function reportLine(report, changed) {
  const path = ownPath(report.file_url);
  const kind = tOr(`choice.report.report_type.${report.report_type}`, report.report_type);
  const remove = async () => {
    if (!(await ask({ title: t('reports.remove'), text: t('reports.removeQuestion', { name: report.name }), yes: t('reports.removeYes') }))) return;
    try {
      notify((await del(`/reports/${encodeURIComponent(report.name)}`)).message);
      changed();
    } catch (error) {
      notifyError(error);
    }
  };
  const element = h(
    'li',
    { class: 'line' },
    icon('reports'),
    h('span', { class: 'line-name' }, kind, h('span', { class: 'line-note', text: ` · ${t('fact.user')} ${report.user_id}` })),
    h('span', { class: 'line-note' }, bytes(report.size), ' · ', moment(report.created_at)),
    h(
      'span',
      { class: 'line-tools' },
      h('a', { class: 'button small', href: link('task', {}, report.task_id) }, icon('tasks'), h('span', { text: t('task.title') })),
      path && h('button', { class: 'button small', type: 'button', on: { click: () => preview(path, kind) } }, icon('search'), h('span', { text: t('reports.preview') })),
      path && h('a', { class: 'icon-button', href: path, download: true, 'aria-label': t('task.download'), title: t('task.download') }, icon('download')),
      h('button', { class: 'icon-button', type: 'button', 'aria-label': t('reports.remove'), title: t('reports.remove'), on: { click: remove } }, icon('trash')),
    ),
  );
  return { element, update() {} };
}

/** The browser's own viewer, in a frame. */
function preview(path, title) {
  openDialog({ title, kind: 'dialog-page', content: h('iframe', { class: 'pdf-frame', src: path, title }) });
}
