/**
 * A reader of `text/event-stream` on fetch: unlike EventSource it sees the heartbeats, and so
 * notices a line that has gone silent, and it says which id it goes on from.
 *
 * Source: WHATWG HTML, 9.2.6 "Interpreting an event stream".
 */

/**
 * Reads until the stream ends; then the promise resolves. Rejects when it cannot be read.
 * @param {string} url
 * @param {{lastId: string|null, signal: AbortSignal, opened: () => void, heard: () => void,
 *   event: (event: {id: string, name: string, data: string}) => void, reached?: (id) => void}} options
 */
export async function readEvents(url, { lastId, signal, opened = () => {}, heard = () => {}, event, reached }) {
  const headers = { Accept: 'text/event-stream', ...(lastId ? { 'Last-Event-ID': lastId } : {}) };
  const response = await fetch(url, { headers, signal, cache: 'no-store' });
  if (!response.ok) throw Object.assign(new Error('the stream was refused'), { status: response.status });
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = makeParser(event, reached);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    parse(value);
  }
}

/** Takes the text in pieces as they come, cut anywhere. *reached* gets an id that came without an event. */
export function makeParser(dispatch, reached = () => {}) {
  let told = '';
  let rest = '';
  let id = '';
  let name = '';
  let data = [];
  const line = (text) => {
    if (text === '') {
      if (data.length) dispatch({ id, name: name || 'message', data: data.join('\n') });
      else if (id !== told) reached(id);
      told = id;
      name = '';
      data = [];
      return;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(text);
    if (field === 'id' && !value.includes('\0')) id = value;
    else if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
  };
  return (piece) => {
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    lines.forEach(line);
  };
}
