/** For a service that has done nothing yet: the line that starts a task, and a button that does the same. */
import { post } from '../api.js';
import { h } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { submitLine } from '../curl.js';
import { notify, notifyError } from '../notices.js';
import { link } from '../router.js';
import { watch } from '../watch.js';
import { codeLine } from './code-line.js';
import { empty } from './situations.js';

const input = () => ({ email: 'ana@example.com', subject: t('example.subject'), body: t('example.body') });

export function firstSteps() {
  const button = h('button', { class: 'button primary', type: 'button', on: { click: run } }, icon('play'), h('span', { text: t('example.run') }));
  return empty({ title: t('tasks.none'), text: t('example.text') }, codeLine(submitLine('email', input())).element, button);
}

async function run() {
  try {
    const { task_id: id } = await post('/tasks', { type: 'email', input: input() });
    watch(id, 'email');
    notify(t('submit.done'), { href: link('task', {}, id), hrefLabel: t('watch.open') });
  } catch (error) {
    notifyError(error);
  }
}
