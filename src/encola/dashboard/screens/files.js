/** Files that were sent: drop one here, process it, save it, remove it. */
import { del, get, post } from '../api.js';
import { ask } from '../dialog.js';
import { h, refill, setText } from '../dom.js';
import { bytes } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { keyed } from '../keyed.js';
import { notify, notifyError } from '../notices.js';
import { dropZone } from '../parts/file-control.js';
import { previewFile } from '../parts/file-preview.js';
import { filePath } from '../parts/json-view.js';
import { moment } from '../parts/moment.js';
import { empty, failed, loading } from '../parts/situations.js';
import { link } from '../router.js';

export function files() {
  const rows = h('ul', { class: 'lines' });
  const more = h('button', { class: 'button', type: 'button', text: t('tasks.more'), on: { click: () => load(next) } });
  const body = h('div', { class: 'list-body' }, loading());
  let items = [];
  let next = null;

  const show = () => {
    if (!items.length) {
      refill(body, empty({ title: t('files.none'), text: t('files.noneText'), symbol: 'files' }));
      return;
    }
    if (!rows.isConnected) refill(body, rows, h('div', { class: 'list-foot' }, more));
    keyed(rows, items, (file) => file.file_path, (file) => fileLine(file, () => load()));
    more.hidden = !next;
  };
  async function load(cursor = null) {
    try {
      const page = await get('/files', { limit: 50, cursor });
      items = cursor ? [...items, ...page.items] : page.items;
      next = page.next_cursor;
      show();
    } catch (error) {
      if (!items.length) refill(body, failed(error, () => load()));
    }
  }
  load();

  return {
    element: h('div', { class: 'screen' }, h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('nav.files') }), h('p', { class: 'subtitle', text: t('files.subtitle') }))), dropPanel(() => load()), h('section', { class: 'panel', 'aria-label': t('nav.files') }, body)),
    update() {},
  };
}

function dropPanel(done) {
  const chooser = h('input', { type: 'file', class: 'sr-only', tabindex: '-1', 'aria-hidden': 'true' });
  const words = h('span', { text: t('file.drop') });
  const element = h('div', { class: 'drop' }, h('button', { class: 'drop-button', type: 'button', on: { click: () => chooser.click() } }, icon('upload'), words), chooser);
  const take = async (file) => {
    setText(words, t('file.uploading', { name: file.name }));
    try {
      const body = new FormData();
      body.append('file', file);
      const stored = await post('/files', body);
      notify(t('file.uploaded', { name: stored.name, size: bytes(stored.size) }), { href: processLink(stored.file_path), hrefLabel: t('files.process') });
      done();
    } catch (error) {
      notifyError(error);
    }
    setText(words, t('file.drop'));
  };
  chooser.addEventListener('change', () => chooser.files.length && take(chooser.files[0]));
  dropZone(element, take);
  return element;
}

const processLink = (path) => link('new', { type: 'file', file_path: path });

function fileLine(file, changed) {
  const path = filePath(file.file_path);
  const remove = async () => {
    if (!(await ask({ title: t('files.remove'), text: t('reports.removeQuestion', { name: file.name }), yes: t('reports.removeYes') }))) return;
    try {
      notify((await del(path)).message);
      changed();
    } catch (error) {
      notifyError(error);
    }
  };
  const element = h(
    'li',
    { class: 'line' },
    icon('files'),
    h('span', { class: 'line-name', text: file.name }),
    h('span', { class: 'line-note' }, bytes(file.size), ' · ', moment(file.created_at)),
    h(
      'span',
      { class: 'line-tools' },
      h('a', { class: 'button small', href: processLink(file.file_path) }, icon('play'), h('span', { text: t('files.process') })),
      path && h('button', { class: 'button small', type: 'button', on: { click: () => previewFile(file, path) } }, icon('search'), h('span', { text: t('reports.preview') })),
      path && h('a', { class: 'icon-button', href: path, download: true, 'aria-label': t('task.download'), title: t('task.download') }, icon('download')),
      path && h('button', { class: 'icon-button', type: 'button', 'aria-label': t('files.remove'), title: t('files.remove'), on: { click: remove } }, icon('trash')),
    ),
  );
  return { element, update() {} };
}
