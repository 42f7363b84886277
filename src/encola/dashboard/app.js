/**
 * The dashboard: a table of contents.
 *
 * Each screen is a function of (context) that gives `{element, update(place), leave()}`;
 * each part below it is one behaviour in one module. Everything on the page comes from the
 * HTTP API, and enters it as text.
 */
import { startKeys } from './keys.js';
import { language } from './i18n.js';
import { startLive } from './live.js';
import { startRouter } from './router.js';
import { startScroll } from './scroll.js';
import { makeShell } from './shell.js';
import { startWatching } from './watch.js';
import { files } from './screens/files.js';
import { home } from './screens/home.js';
import { newTask } from './screens/new.js';
import { task } from './screens/task.js';
import { tasks } from './screens/tasks.js';
import { mailbox } from './screens/mailbox.js';
import { queues } from './screens/queues.js';
import { reports } from './screens/reports.js';
import { schedules } from './screens/schedules.js';
import { workers } from './screens/workers.js';

/** First part of the address -> screen. The order is that of the navigation. */
const SCREENS = { home, tasks, task, new: newTask, queues, workers, schedules, files, reports, mailbox };

document.documentElement.lang = language();
const shell = makeShell(document.getElementById('app'));
startScroll();
startRouter(SCREENS, shell);
startKeys(shell);
startLive();
startWatching();
