/** The parts of a task that are read: result, error, input, and the facts about it. */
import { copyButton } from '../copy.js';
import { h, ownPath } from '../dom.js';
import { downloadButton } from '../download.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { errorOf, meaningOf } from '../reasons.js';
import { link } from '../router.js';
import { jsonView } from './json-view.js';
import { moment } from './moment.js';

function section(title, tool, ...content) {
  return h('section', { class: 'part' }, h('div', { class: 'part-head' }, h('h3', { text: title }), tool), content);
}

export function resultSection(task) {
  if (task.state !== 'SUCCESS') return null;
  const file = ownPath(task.result?.file_url);
  return section(
    t('task.result'),
    [downloadButton(`${task.task_id}.json`, () => JSON.stringify(task.result, null, 2), t('task.downloadResult')), copyButton(() => JSON.stringify(task.result, null, 2))],
    file && h('a', { class: 'button', href: file, download: true }, icon('download'), h('span', { text: t('task.download') })),
    jsonView(task.result, t('task.result')),
  );
}

export function errorSection(task) {
  if (!task.error && !task.error_code) return null;
  const code = task.error_code;
  const meaning = meaningOf(code);
  return h(
    'section',
    { class: `part part-error ${task.state === 'FAILURE' ? '' : 'part-error-mild'}` },
    h('div', { class: 'part-head' }, h('h3', { text: t('task.error') }), code && h('code', { class: 'code-tag', text: code })),
    h('p', { class: 'error-text', text: errorOf(task) }),
    meaning && meaning !== errorOf(task) && h('p', { class: 'error-meaning', text: meaning }),
    task.traceback && h('details', null, h('summary', { text: t('task.traceback') }), h('pre', { class: 'traceback', tabindex: '0', role: 'group', 'aria-label': t('task.traceback'), text: task.traceback })),
  );
}

export function inputSection(task) {
  return section(t('task.input'), copyButton(() => JSON.stringify(task.input, null, 2)), jsonView(task.input, t('task.input')));
}

/** Name -> what is shown; empty ones are left out. */
function facts(task) {
  const other = (id) => id && h('a', { class: 'mono', href: link('task', {}, id), text: id });
  const by = (name, value) => value && h('a', { href: link('tasks', { [name]: value }), text: value });
  const labels = Object.entries(task.labels ?? {}).map(([name, value]) => `${name}=${value}`).join(', ');
  return {
    queue: by('queue', task.queue),
    user: by('user_id', task.user_id),
    priority: task.priority ? String(task.priority) : null,
    source: t(`source.${task.source}`),
    created: moment(task.created_at, 'clock'),
    due: task.due_at && moment(task.due_at, 'clock'),
    started: task.started_at && moment(task.started_at, 'clock'),
    completed: task.completed_at && moment(task.completed_at, 'clock'),
    retries: task.retries ? String(task.retries) : null,
    phase: task.phase,
    labels: labels || null,
    name: h('span', { class: 'mono', text: task.name }),
    retriedFrom: other(task.retried_from),
    parent: task.parent_id !== task.task_id && other(task.parent_id),
    root: task.root_id !== task.task_id && other(task.root_id),
    group: task.group_id,
    schedule: task.schedule_id,
    key: task.idempotency_key,
    trace: task.traceparent && h('span', { class: 'mono', text: task.traceparent }),
  };
}

export function factsSection(task) {
  const rows = Object.entries(facts(task)).filter(([, value]) => value);
  return section(t('task.facts'), null, h('dl', { class: 'facts' }, rows.map(([name, value]) => h('div', null, h('dt', { text: t(`fact.${name}`) }), h('dd', null, value)))));
}
