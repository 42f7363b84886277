/** A request as the line for a shell that does the same. */

/** Quoted for any POSIX shell: nothing in it is read as anything but text. */
const quote = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

export function curlLine(method, path, body) {
  const parts = ['curl', ...(method === 'GET' ? [] : ['-X', method]), quote(location.origin + path)];
  if (body !== undefined) parts.push('-H', quote('Content-Type: application/json'), '-d', quote(JSON.stringify(body)));
  return parts.join(' ');
}

/** The submit of a task. */
export const submitLine = (type, input) => curlLine('POST', '/tasks', { type, input });
