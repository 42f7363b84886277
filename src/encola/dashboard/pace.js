/** Does something soon, and at most once in a while: any number of calls in between are one. */
export function paced(run, everyMs) {
  let timer = 0;
  let last = 0;
  const due = () => {
    timer = 0;
    last = Date.now();
    run();
  };
  const ask = () => {
    if (!timer) timer = setTimeout(due, Math.max(0, last + everyMs - Date.now()));
  };
  ask.stop = () => clearTimeout(timer);
  return ask;
}
