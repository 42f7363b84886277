/**
 * The control for each kind of value. `read` gives the value as JSON has it, undefined where
 * nothing was entered; it throws a FieldProblem where the text is no such value.
 */
import { h } from '../dom.js';
import { t, tOr } from '../i18n.js';
import { fileControl } from './file-control.js';

/** Why there is no value; without words where those stand at a field within. */
export class FieldProblem extends Error {
  /** @param {() => void} [focus] leads there */
  constructor(sentence, focus) {
    super(sentence);
    this.focus = focus;
  }
}

/** @returns {(schema, options: {id, name, type, path, required}) => {element, input, write: (value) => void, read: () => *}} */
export const controlFor = (kind) => (schema, options) => MAKERS[kind](schema, { ...options, hint: tOr(`placeholder.${options.type}.${options.path}`, '') });

const INPUT_TYPES = { text: 'text', email: 'email', date: 'date', time: 'time', whole: 'number', number: 'number', decimal: 'text' };

function plain(kind, toValue, toText = String) {
  return (schema, { id, required, hint }) => {
    const input = h('input', {
      class: 'input', id, type: INPUT_TYPES[kind], required, placeholder: hint || null, autocomplete: 'off',
      min: schema.minimum, max: schema.maximum, maxlength: schema.maxLength, step: kind === 'whole' ? 1 : kind === 'number' ? 'any' : null,
      inputmode: kind === 'decimal' ? 'decimal' : null,
    });
    return withText(input, schema, toValue, toText);
  };
}

function withText(input, schema, toValue, toText = String) {
  const write = (value) => { input.value = value === undefined || value === null ? '' : toText(value); };
  write(schema.default);
  return { element: input, input, write, read: () => (input.value === '' ? undefined : toValue(input.value)) };
}

function toNumber(text) {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new FieldProblem(t('form.number'));
  return value;
}

function toWhole(text) {
  const value = toNumber(text);
  if (!Number.isSafeInteger(value)) throw new FieldProblem(t('form.whole'));
  return value;
}

/** The browser's own field has no time zone: what is entered is the reader's time. */
function datetime(schema, { id, required }) {
  const input = h('input', { class: 'input', id, type: 'datetime-local', step: 1, required });
  const local = (text) => {
    const date = new Date(text);
    return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  };
  return withText(input, schema, (text) => new Date(text).toISOString(), local);
}

function long(schema, { id, required, hint }) {
  const input = h('textarea', { class: 'input', id, rows: 4, required, placeholder: hint || null, maxlength: schema.maxLength });
  return withText(input, schema, (text) => text);
}

/** As it was typed, so that no digit of an amount is lost on the way. */
function toDecimal(text) {
  toNumber(text);
  return text;
}

const LINES = { integer: toWhole, number: toNumber };

function list(schema, { id, required }) {
  const input = h('textarea', { class: 'input', id, rows: 3, required, placeholder: t('form.list') });
  const toValue = LINES[schema.items.type] ?? String;
  return withText(input, schema, (text) => text.split('\n').map((line) => line.trim()).filter(Boolean).map((line) => toValue(line)), (value) => value.join('\n'));
}

function json(schema, { id, required }) {
  const input = h('textarea', { class: 'input mono', id, rows: 4, required, spellcheck: 'false', placeholder: schema.type === 'array' ? '[]' : '{}' });
  const parse = (text) => {
    try {
      return JSON.parse(text);
    } catch {
      throw new FieldProblem(t('form.json'));
    }
  };
  return withText(input, schema, parse, (value) => JSON.stringify(value, null, 2));
}

function choice(schema, { id, required, type, name }) {
  const values = schema.enum ?? [schema.const];
  const options = values.map((value, at) => h('option', { value: String(at), text: tOr(`choice.${type}.${name}.${value}`, String(value)) }));
  if (!required) options.unshift(h('option', { value: '', text: '—' }));
  const input = h('select', { class: 'input', id, required }, options);
  const write = (value) => {
    const at = values.indexOf(value);
    input.value = at < 0 ? (required ? '0' : '') : String(at);
  };
  write(schema.default);
  return { element: input, input, write, read: () => (input.value === '' ? undefined : values[Number(input.value)]) };
}

function switchControl(schema, { id }) {
  const input = h('input', { class: 'switch', id, type: 'checkbox', role: 'switch' });
  const write = (value) => { input.checked = value === true; };
  write(schema.default);
  return { element: input, input, write, read: () => input.checked };
}

const MAKERS = {
  text: plain('text', (text) => text),
  wordOrNumber: plain('text', (text) => (/^-?\d{1,15}$/.test(text) ? Number(text) : text)),
  email: plain('email', (text) => text),
  date: plain('date', (text) => text),
  time: plain('time', (text) => text),
  whole: plain('whole', toWhole),
  number: plain('number', toNumber),
  decimal: plain('decimal', toDecimal),
  switch: switchControl,
  file: (schema, options) => fileControl(plain('text', (text) => text)(schema, options)),
  datetime, long, list, json, choice,
};
