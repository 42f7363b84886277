/**
 * The whole view is in the address, behind the `#`: `#/tasks?state=FAILURE&task=ID`.
 * So a view can be sent to a colleague, and "back" works.
 */

let shown = { name: null, screen: null };

/** @returns {{name: string, id: string|null, query: Object<string, string>}} */
export function place(hash = location.hash) {
  const [path, search] = hash.replace(/^#\/?/, '').split('?', 2);
  const [name, ...rest] = path.split('/');
  return {
    name: name || 'home',
    id: rest.length ? decode(rest.join('/')) : null,
    query: Object.fromEntries(new URLSearchParams(search ?? '')),
  };
}

/** The address of a view, as `href`. Empty parts of the query are left out. */
export function link(name, query = {}, id = null) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const search = given.length ? `?${new URLSearchParams(given)}` : '';
  return `#/${name === 'home' ? '' : name}${id === null ? '' : `/${encodeURIComponent(id)}`}${search}`;
}

/** Goes there; with `replace`, without a step in the history. */
export function go(href, { replace = false } = {}) {
  if (!replace) {
    location.hash = href;
    return;
  }
  history.replaceState(null, '', href);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

/** Changes some of the query where we are; null takes a part out. */
export function change(query, options) {
  const { name, id, query: now } = place();
  go(link(name, { ...now, ...query }, id), options);
}

/** Shows the screen of the address now and whenever it changes. */
export function startRouter(screens, shell) {
  const follow = () => show(screens, shell, place());
  addEventListener('hashchange', follow);
  follow();
}

function show(screens, shell, where) {
  const make = screens[where.name];
  if (!make) {
    go('#/', { replace: true });
    return;
  }
  if (shown.name !== where.name) {
    shown.screen?.leave?.();
    shown = { name: where.name, screen: make(where) };
    shell.show(where.name, shown.screen);
  }
  shown.screen.update(where);
  shell.located(where);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
