/** A request as the line for a shell that does the same; a long one is broken where a shell goes on. */

/** Quoted for any POSIX shell: nothing in it is read as anything but text. */
const quote = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

export function curlLine(method, path, body) {
  const first = ['curl', ...(method === 'GET' ? [] : ['-X', method]), quote(location.origin + path)].join(' ');
  if (body === undefined) return first;
  return [first, `-H ${quote('Content-Type: application/json')}`, `-d ${quote(JSON.stringify(body))}`].join(' \\\n  ');
}

/** The submit of a task; options that say nothing are left out. */
export function submitLine(type, input, options = {}) {
  const given = Object.entries(options).filter(([, value]) => value);
  return curlLine('POST', '/tasks', { type, input, ...(given.length && { options: Object.fromEntries(given) }) });
}
