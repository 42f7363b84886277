/**
 * How far a view was scrolled is kept with its entry in the history, so that "back" and a reload find the place.
 *
 * The browser would look for it at once, when a screen has not loaded what is to be scrolled over.
 */

const SETTLED_MS = 150;
/** After it the place is given up: there is less to show than there was. */
const PATIENCE_MS = 3000;

let settling = 0;
let looking = null;

export function startScroll() {
  history.scrollRestoration = 'manual';
  addEventListener('scroll', () => {
    clearTimeout(settling);
    settling = setTimeout(() => history.replaceState({ y: scrollY }, ''), SETTLED_MS);
  }, { passive: true });
}

/** For a screen that has just been put into *main*: to its top, or to where it was left. */
export function comeBack(main) {
  const y = history.state?.y ?? 0;
  clearTimeout(settling);
  looking?.abort();
  scrollTo(0, 0);
  if (y > 0) look(main, y);
}

function look(main, y) {
  const mine = new AbortController();
  looking = mine;
  const { signal } = mine;
  const stop = () => mine.abort();
  const grown = new ResizeObserver(() => {
    if (document.documentElement.scrollHeight < y + innerHeight) return;
    scrollTo(0, y);
    stop();
  });
  const patience = setTimeout(stop, PATIENCE_MS);
  signal.addEventListener('abort', () => {
    clearTimeout(patience);
    grown.disconnect();
  });
  // Who scrolls by themself in the meantime is left alone.
  for (const name of ['wheel', 'touchmove', 'keydown']) addEventListener(name, stop, { signal, passive: true });
  grown.observe(main);
}
