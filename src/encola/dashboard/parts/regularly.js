/** Loads now, soon after something happened, and from time to time; not while the page rests. */
import { listen, liveStatus } from '../live.js';
import { paced } from '../pace.js';

/** @returns {() => void} stops it */
export function regularly(load, { everyMs = 5000, paceMs = 1000 } = {}) {
  const soon = paced(load, paceMs);
  const leaving = [listen('events', soon), listen('reload', soon)];
  const clock = setInterval(() => liveStatus() === 'live' && soon(), everyMs);
  load();
  return () => {
    soon.stop();
    clearInterval(clock);
    leaving.forEach((stop) => stop());
  };
}
