/** JSON as it is read: indented, its kinds in colours, long ones scrolled. */
import { h, ownPath } from '../dom.js';

/** Above this many characters it is plain text: a span a value would be slow. */
const COLOURED = 20_000;

/** Where a file of the data folder is read: `data://datasets/7/x.parquet` is `/files/datasets/7/x.parquet`. */
export function filePath(uri) {
  const found = /^data:\/\/((?:uploads|datasets|rejected)\/.+)$/.exec(String(uri ?? ''));
  return found && ownPath(`/files/${found[1].split('/').map(encodeURIComponent).join('/')}`);
}

export function jsonView(value, label) {
  const text = JSON.stringify(value, null, 2) ?? 'null';
  const parts = text.length > COLOURED ? [text] : coloured(text);
  return h('pre', { class: 'json', tabindex: '0', role: 'group', 'aria-label': label }, h('code', null, parts));
}

/** Pieces of the text, each string, number and word in a span of its own. */
function coloured(text) {
  const pieces = [];
  let last = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\b(?:true|false|null)\b/gi)) {
    pieces.push(text.slice(last, match.index), piece(match[0], match[1]));
    last = match.index + match[0].length;
  }
  return [...pieces, text.slice(last)];
}

function piece(token, colon) {
  if (colon) return h('span', { class: 'json-key', text: token });
  if (!token.startsWith('"')) return h('span', { class: 'json-number', text: token });
  const text = plain(token);
  const path = filePath(text) ?? ownPath(text);
  if (/^\/(reports|files)\//.test(path)) return h('a', { class: 'json-string', href: path, text: token });
  return h('span', { class: 'json-string', text: token });
}

function plain(token) {
  try {
    return JSON.parse(token);
  } catch {
    return '';
  }
}
