/** The beginning of a file that was sent, as text. */
import { getBytes } from '../api.js';
import { openDialog } from '../dialog.js';
import { h } from '../dom.js';
import { bytes } from '../format.js';
import { t } from '../i18n.js';
import { notifyError } from '../notices.js';

const MOST_BYTES = 65_536;

export async function previewFile({ name, size }, path) {
  try {
    const text = size ? decoded(await getBytes(path, MOST_BYTES)) : '';
    const isText = !text.includes('\0');
    openDialog({
      title: name,
      kind: 'dialog-page',
      content: [
        isText && h('pre', { class: 'file-text', tabindex: '0', role: 'group', 'aria-label': name, text }),
        isText ? size > MOST_BYTES && h('p', { class: 'part-note', text: t('files.beginning', { shown: bytes(MOST_BYTES), size: bytes(size) }) }) : h('p', { text: t('files.noText') }),
      ],
    });
  } catch (error) {
    notifyError(error);
  }
}

/** UTF-8, whose last letter may have been cut through; else what spreadsheets in Europe write. */
function decoded(data) {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data, { stream: true });
  } catch {
    return new TextDecoder('windows-1252').decode(data);
  }
}
