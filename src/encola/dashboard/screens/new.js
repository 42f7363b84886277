/** A new task: the form of any type, and the line for a shell that does the same. */
import { h } from '../dom.js';
import { t } from '../i18n.js';
import { taskForm } from '../parts/task-form.js';
import { go, link } from '../router.js';
import { notificationButton } from '../watch.js';

export function newTask({ query }) {
  const { type, ...preset } = query;
  const form = taskForm({
    type, preset,
    withCurl: true,
    chosen: (name) => go(link('new', { type: name }), { replace: true }),
    done: (id) => go(link('task', {}, id)),
  });
  return {
    element: h(
      'div',
      { class: 'screen narrow' },
      h('header', { class: 'screen-head' }, h('div', null, h('h1', { text: t('new.title') }), h('p', { class: 'subtitle', text: t('new.subtitle') })), notificationButton()),
      h('section', { class: 'panel padded' }, form.element),
    ),
    update: (place) => place.query.type && form.choose(place.query.type),
  };
}
