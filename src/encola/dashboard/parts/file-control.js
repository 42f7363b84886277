/** A path, typed, or got by dropping a file here: it is uploaded, and its path filled in. */
import { post } from '../api.js';
import { h, setText } from '../dom.js';
import { bytes } from '../format.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { notifyError } from '../notices.js';

/** @param text the control for the path itself */
export function fileControl(text) {
  const chooser = h('input', { type: 'file', class: 'sr-only', tabindex: '-1', 'aria-hidden': 'true' });
  const words = h('span', { text: t('file.drop') });
  const button = h('button', { class: 'drop-button', type: 'button', on: { click: () => chooser.click() } }, icon('upload'), words);
  const element = h('div', { class: 'drop' }, text.element, button, chooser);
  const take = async (file) => {
    setText(words, t('file.uploading', { name: file.name }));
    try {
      const body = new FormData();
      body.append('file', file);
      const stored = await post('/files', body);
      text.write(stored.file_path);
      text.input.dispatchEvent(new Event('input', { bubbles: true }));
      setText(words, t('file.uploaded', { name: file.name, size: bytes(stored.size) }));
    } catch (error) {
      setText(words, t('file.drop'));
      notifyError(error);
    }
  };
  chooser.addEventListener('change', () => chooser.files.length && take(chooser.files[0]));
  dropZone(element, take);
  return { ...text, element };
}

/** Calls *take* with a file that is dropped on *element*. */
export function dropZone(element, take) {
  const over = (wanted) => (event) => {
    event.preventDefault();
    element.classList.toggle('drop-over', wanted);
  };
  element.addEventListener('dragover', over(true));
  element.addEventListener('dragleave', over(false));
  element.addEventListener('drop', (event) => {
    over(false)(event);
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}
