/**
 * Tells who submitted a task from this page how it ended: by a notice, and by a notification of
 * the browser where that was allowed and the page is not being looked at.
 */
import { get, taskPath } from './api.js';
import { h } from './dom.js';
import { icon } from './icons.js';
import { t } from './i18n.js';
import { keepWhile, listen } from './live.js';
import { notify } from './notices.js';
import { link } from './router.js';
import { isFinished } from './states.js';
import { typeName } from './types.js';

const watched = new Map();

/** Wants to hear of the end of *id*. */
export function watch(id, type) {
  watched.set(id, type);
  look(id);
}

/** It may have ended before the answer to its submit was here, or among events that were missed. */
async function look(id) {
  const task = await get(taskPath(id)).catch(() => null);
  if (task && watched.has(id) && isFinished(task.state)) ended(task);
}

export function startWatching() {
  keepWhile(() => watched.size > 0);
  listen('reload', () => [...watched.keys()].forEach(look));
  listen('events', (events) => {
    for (const event of events) {
      if (watched.has(event.task_id) && isFinished(event.state)) ended(event);
    }
  });
}

function ended({ task_id: id, state }) {
  const type = watched.get(id);
  watched.delete(id);
  const sentence = t(`watch.${state}`, { type: typeName(type) });
  notify(sentence, { kind: state === 'SUCCESS' ? 'success' : 'error', href: link('task', {}, id), hrefLabel: t('watch.open') });
  if (document.hidden && globalThis.Notification?.permission === 'granted') {
    const shown = new Notification('encola', { body: sentence, tag: id });
    shown.addEventListener('click', () => {
      focus();
      location.hash = link('task', {}, id);
    });
  }
}

/** Asks the browser for leave; null where there is nothing to ask. */
export function notificationButton() {
  if (globalThis.Notification?.permission !== 'default') return null;
  const button = h('button', { class: 'button quiet', type: 'button', on: { click: async () => {
    await Notification.requestPermission();
    if (Notification.permission === 'granted') notify(t('watch.allowed'));
    button.remove();
  } } }, icon('bell'), h('span', { text: t('watch.allow') }));
  return button;
}
