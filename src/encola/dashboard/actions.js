/** What a person does to a task: cancel and retry, with the question first and the notice after. */
import { del, post, taskPath } from './api.js';
import { ask } from './dialog.js';
import { t } from './i18n.js';
import { notify, notifyError } from './notices.js';

/** @returns {Promise<boolean>} whether it was cancelled */
export async function cancelTask(id) {
  const sure = await ask({ title: t('cancel.title'), text: t('cancel.question'), yes: t('cancel.yes') });
  if (!sure) return false;
  return told(() => del(`/tasks/cancel/${encodeURIComponent(id)}`), t('cancel.done'));
}

/** @returns {Promise<boolean>} whether it waits for its next attempt */
export function retryTask(id) {
  return told(() => post(taskPath(id, '/retry')), t('retry.done'));
}

async function told(act, sentence) {
  try {
    await act();
    notify(sentence);
    return true;
  } catch (error) {
    notifyError(error);
    return false;
  }
}
