/**
 * The live stream: one connection for the whole page, resumed after a drop from the last event
 * seen, so that none is missed and none is told twice.
 *
 * 1. Connected: "live". Events are handed on together, once a frame.
 * 2. Lost, or silent for longer than the heartbeats allow: "reconnecting", with growing pauses.
 * 3. The tab is hidden, or somebody pressed pause: "paused", and no connection is held.
 * 4. What was missed is no longer kept (`gap`): listeners are told to load anew.
 * 5. A call found the store away: the line may stand, but nothing can come over it. "reconnecting" until the
 *    service is ready again; then listeners load anew.
 */
import { readEvents } from './events.js';

/** The service's heartbeat comes every 15 s; two missed and the line is dead. */
const SILENCE_MS = 35_000;
const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
/** A tab that is looked away from for a moment keeps its line. */
const HIDDEN_MS = 20_000;
/** After a longer rest loading anew is less than all that happened meanwhile. */
const LONG_REST_MS = 60_000;
/** Between two questions whether the store is back. */
const ASK_MS = 2000;

const listeners = { events: new Set(), reload: new Set(), status: new Set() };
let status = 'connecting';
let stopped = false;
let lastId = null;
let heardAt = Date.now();
let line = null;
let failures = 0;
let buffer = [];
let frame = 0;
let hiding = 0;
let restedAt = 0;
let needed = () => false;
let awaySince = null;

/** While *wanted* says so, a hidden tab keeps its line: somebody waits to be told of something. */
export function keepWhile(wanted) {
  needed = wanted;
}

/**
 * @param {'events'|'reload'|'status'} what `events` gets a list of events, oldest first
 * @returns {() => void} stops listening
 */
export function listen(what, run) {
  listeners[what].add(run);
  return () => listeners[what].delete(run);
}

export const liveStatus = () => (awaySince !== null && status === 'live' ? 'reconnecting' : status);

/** Milliseconds since the service was last heard, or since its store was found away. */
export const dataAge = () => (liveStatus() === 'live' ? 0 : Date.now() - (status === 'live' ? awaySince : heardAt));

/** Told by whoever got no answer because the store is away. */
export async function missStore() {
  if (awaySince !== null) return;
  awaySince = Date.now();
  tell();
  do await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  while (!(await fetch('/ready').then(({ ok }) => ok, () => false)));
  awaySince = null;
  tell();
  reload();
}

export function startLive() {
  document.addEventListener('visibilitychange', hiddenOrShown);
  addEventListener('online', hurry);
  setInterval(lookForSilence, 5000);
  connect();
}

/** What the pause button does. */
export function togglePause() {
  stopped = !stopped;
  if (stopped) rest();
  else connect();
}

export const isStopped = () => stopped;

async function connect() {
  clearTimeout(line?.retry);
  line?.abort.abort();
  const mine = { abort: new AbortController(), retry: 0 };
  line = mine;
  if (status === 'paused' && Date.now() - restedAt > LONG_REST_MS) lastId = null;
  if (status !== 'connecting') become('reconnecting');
  try {
    await readEvents('/events', {
      lastId,
      signal: mine.abort.signal,
      opened: () => { failures = 0; heardAt = Date.now(); become('live'); },
      heard: () => { heardAt = Date.now(); },
      event: take,
      reached: (id) => { lastId = id; },
    });
  } catch {
    // For the reader of the page it is the same as an end.
  }
  if (line === mine) again(mine);
}

function again(mine) {
  become('reconnecting');
  const pause = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)];
  failures += 1;
  // Spread, so that a hundred pages do not come back in the same instant.
  mine.retry = setTimeout(connect, pause * (0.75 + Math.random() / 2));
}

function rest() {
  restedAt = Date.now();
  clearTimeout(line?.retry);
  line?.abort.abort();
  line = null;
  become('paused');
}

function hurry() {
  if (status !== 'reconnecting') return;
  failures = 0;
  connect();
}

function lookForSilence() {
  if (status === 'live' && Date.now() - heardAt > SILENCE_MS) connect();
}

function hiddenOrShown() {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => (needed() ? hiddenOrShown() : rest()), HIDDEN_MS);
  else if (status === 'paused' && !stopped) connect();
}

function take({ id, name, data }) {
  if (name === 'gap' || (name === 'hello' && lastId === null)) {
    // What was loaded before this moment may be older than where the stream begins.
    lastId = id;
    buffer = [];
    reload();
    return;
  }
  if (name !== 'task' || (lastId && !isAfter(id, lastId))) return;
  lastId = id;
  buffer.push(JSON.parse(data));
  // A hidden tab is given no frames.
  if (!frame) frame = document.hidden ? setTimeout(flush, 250) : requestAnimationFrame(flush);
}

function flush() {
  frame = 0;
  const events = buffer;
  buffer = [];
  if (events.length) listeners.events.forEach((run) => run(events));
}

/** Ids are `milliseconds-number`, and grow. */
export function isAfter(id, other) {
  const [ms, n] = id.split('-').map(Number);
  const [otherMs, otherN] = other.split('-').map(Number);
  return ms > otherMs || (ms === otherMs && n > otherN);
}

function become(next) {
  if (status === next) return;
  status = next;
  tell();
}

function tell() {
  listeners.status.forEach((run) => run(liveStatus()));
}

function reload() {
  listeners.reload.forEach((run) => run());
}
