/**
 * The tasks of one filter as the list shows them: pages from the API, brought up to date by events.
 *
 * A row never moves by itself: what is new gathers as a number until it is asked for.
 */
import { get } from './api.js';
import { apiFilter, fits } from './filter.js';
import { listen } from './live.js';
import { FINISHED } from './states.js';

const PAGE = 50;
/** Rows at most; the page stays quick, and nobody reads further than by a filter. */
const MOST = 500;
/** New ones that are told apart; above it the number is "at least". */
const MOST_FRESH = 1000;
/** Pages without a row that are passed over at once: a search looks through so many ids a page, and may find none among them. */
const EMPTY_PAGES = 5;

/** @param {() => void} changed called after every change, at most once a frame */
export function taskList(changed) {
  const list = { items: [], fresh: new Set(), next: null, error: null, loading: true };
  let query = {};
  let byId = new Map();
  let asked = null;
  /** What happens while the API is asked: its answer may be older than that. */
  let meanwhile = null;

  const ask = async (cursor) => {
    asked?.abort();
    const mine = new AbortController();
    asked = mine;
    meanwhile = [];
    try {
      return await get('/tasks', { ...apiFilter(query), limit: PAGE, cursor }, { signal: mine.signal });
    } catch (error) {
      if (asked === mine) meanwhile = null;
      if (error.name !== 'AbortError') Object.assign(list, { error, loading: false });
      changed();
      return null;
    }
  };

  const askOn = async (cursor) => {
    let page = await ask(cursor);
    for (let empty = 1; page?.next_cursor && !page.items.length && empty < EMPTY_PAGES; empty += 1) page = await ask(page.next_cursor);
    return page;
  };

  const put = (items, next) => {
    byId = new Map(items.map((task) => [task.task_id, task]));
    Object.assign(list, { items, next, loading: false, error: null });
    follow(meanwhile ?? []);
    meanwhile = null;
    changed();
  };

  /** Brings the rows up to date, and gathers what is new; whether a row has changed. */
  const follow = (events) => {
    let isMoved = false;
    for (const event of events) {
      const task = byId.get(event.task_id);
      if (task) byId.set(event.task_id, moved(task, event));
      else gather(list.fresh, event, query);
      isMoved ||= task !== undefined;
    }
    if (isMoved) list.items = list.items.map((task) => byId.get(task.task_id));
    return isMoved;
  };

  list.load = async (wanted = query) => {
    query = wanted;
    const page = await askOn();
    if (!page) return;
    list.fresh.clear();
    put(page.items, page.next_cursor);
  };

  list.more = async () => {
    const page = list.next && (await askOn(list.next));
    if (!page) return;
    const known = page.items.filter((task) => !byId.has(task.task_id));
    const items = [...list.items, ...known].slice(0, MOST);
    put(items, items.length < MOST ? page.next_cursor : null);
  };

  list.replace = (task) => {
    if (!byId.has(task.task_id)) return;
    byId.set(task.task_id, task);
    list.items = list.items.map((each) => (each.task_id === task.task_id ? task : each));
    changed();
  };

  const take = (events) => {
    const before = list.fresh.size;
    meanwhile?.push(...events);
    if (follow(events) || list.fresh.size !== before) changed();
  };

  const leaving = [listen('events', take), listen('reload', () => list.load())];
  list.leave = () => leaving.forEach((stop) => stop());
  return list;
}

/** The task after an event. */
export function moved(task, event) {
  const next = { ...task, state: event.state, status: event.status, phase: null, progress: event.progress ?? task.progress };
  if (event.state === 'STARTED') Object.assign(next, { started_at: event.at, completed_at: null });
  if (FINISHED.has(event.state)) next.completed_at = event.at;
  return next;
}

/** Notes in *fresh*, which stays bounded, what is new; in a list of one state it is so while it is in that state. */
export function gather(fresh, event, query) {
  if (isNew(event, query)) {
    if (fresh.size <= MOST_FRESH) fresh.add(event.task_id);
  } else if (query.state && event.state !== query.state) fresh.delete(event.task_id);
}

/** How many are new, and whether that is all of them. */
export const freshCount = ({ size }) => ({ count: Math.min(size, MOST_FRESH), exact: size <= MOST_FRESH });

/** Whether an event of a task that is not in the list makes it one that would be on top of it. */
export function isNew(event, query) {
  if (!fits(event, query)) return false;
  return Boolean(query.state) || (!event.attempt && (event.state === 'PENDING' || event.state === 'SCHEDULED'));
}
