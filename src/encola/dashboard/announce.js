/** The one polite live region: what changed by itself, said to who cannot see it, at most every 2 s. */

const PAUSE_MS = 2000;
let waiting = null;
let timer = 0;

export function announce(sentence) {
  waiting = sentence;
  if (!timer) say();
}

function say() {
  timer = 0;
  if (waiting === null) return;
  document.getElementById('announcer').textContent = waiting;
  waiting = null;
  timer = setTimeout(say, PAUSE_MS);
}
