/** What can be done with a task: cancel, run again, run again with other input, copy as a line. */
import { cancelTask, retryTask } from '../actions.js';
import { post, taskPath } from '../api.js';
import { copyText } from '../copy.js';
import { curlLine, submitLine } from '../curl.js';
import { openDialog } from '../dialog.js';
import { h } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { go, link } from '../router.js';
import { isFinished } from '../states.js';
import { taskTypes } from '../types.js';
import { taskForm } from './task-form.js';

/** @param {() => void} changed called after something was done */
export function taskButtons(task, changed) {
  const { task_id: id, state } = task;
  const ended = isFinished(state);
  return [
    !ended && button('cancel', t('cancel'), async () => (await cancelTask(id)) && changed(), 'danger-quiet'),
    ended && button('retry', t('retry'), async () => (await retryTask(id)) && changed()),
    ended && !('args' in task.input) && button('edit', t('retry.edit'), () => editAndRetry(task)),
    // One that came with arguments of a type that nobody has declared here can be sent by Celery alone.
    !('args' in task.input) && button('copy', t('copy.curl'), async () => copyText(await sameAgain(task))),
  ];
}

/** The line that makes such a task once more: its input, and what it has otherwise than it would have anyway. */
async function sameAgain({ type, input, user_id: user, priority, queue, labels }) {
  const declared = (await taskTypes().catch(() => [])).find(({ name }) => name === type);
  return submitLine(type, input, {
    user_id: user !== String(input.user_id) && user,
    queue: queue !== declared?.queue && queue,
    priority,
    labels: Object.keys(labels ?? {}).length && labels,
  });
}

function button(symbol, label, run, kind = '') {
  return h('button', { class: `button small ${kind}`, type: 'button', on: { click: run } }, icon(symbol), h('span', { text: label }));
}

function editAndRetry({ task_id: id, type, input }) {
  const path = taskPath(id, '/retry');
  const form = taskForm({
    type, input, fixed: true, withCurl: true, label: t('retry.edit.submit'),
    submit: (_, edited) => post(path, { input: edited }),
    curl: (_, edited) => curlLine('POST', path, { input: edited }),
    done(fresh) {
      dialog.close();
      go(link('task', {}, fresh));
    },
  });
  const dialog = openDialog({ title: t('retry.edit'), content: form.element, kind: 'dialog-wide' });
}
