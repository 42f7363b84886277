/**
 * Controls that hold others: an object is a box of fields, a list of objects or of choices is
 * a row for each, with buttons for more and fewer.
 */
import { h, refill } from '../dom.js';
import { icon } from '../icons.js';
import { t } from '../i18n.js';
import { resolve } from '../schema.js';
import { controlFor, FieldProblem } from './controls.js';

/** A change that no keyboard made, told like one, so that the line for the terminal follows. */
const tell = (element) => element.dispatchEvent(new Event('input', { bubbles: true }));

const smallButton = (symbol, label, run, props = {}) => h('button', { class: 'button small', type: 'button', on: { click: run }, ...props }, icon(symbol), h('span', { text: label }));

/** One that may be left out is there once it is wanted. */
export function objectControl(schema, { id, path, label, required, groupOf }) {
  const place = h('div', { class: 'nested' });
  const button = smallButton('new', t('form.add'), () => toggle(), { id, 'aria-label': `${t('form.add')}: ${label}` });
  const element = h('div', null, place, !required && h('div', { class: 'nested-foot' }, button));
  let group = null;

  const hold = (wanted) => {
    group = wanted ? groupOf(schema, path) : null;
    refill(place, group?.element);
    refill(button, icon(wanted ? 'close' : 'new'), h('span', { text: t(wanted ? 'form.remove' : 'form.add') }));
    button.setAttribute('aria-label', `${t(wanted ? 'form.remove' : 'form.add')}: ${label}`);
  };
  const toggle = () => {
    hold(!group);
    group?.focus();
    tell(element);
  };
  const write = (value) => {
    const isThere = required || (value !== null && value !== undefined);
    hold(isThere);
    if (value) group.write({ ...group.peek(), ...value });
  };
  write(schema.default);
  return {
    element,
    write,
    read: () => group?.read(),
    peek: () => group?.peek(),
    focus: () => (group ?? button).focus(),
    refuse: (rest, sentence) => group?.refuse(rest, sentence),
  };
}

export function itemsControl(schema, { id, name, type, path, root, label, required, groupOf }) {
  const one = resolve(schema.items, root);
  const rows = h('ol', { class: 'nested items' });
  const button = smallButton('new', t('form.add'), () => { add().focus(); tell(element); }, { id, 'aria-label': `${t('form.add')}: ${label}` });
  const element = h('div', null, rows, h('div', { class: 'nested-foot' }, button));
  let items = [];
  let made = 0;

  const make = () => {
    made += 1;
    if (!one.enum) return groupOf(one, `${path}.${made}`);
    const { input, ...control } = controlFor('choice')(one, { id: `${id}-${made}`, required: true, type, name });
    input.setAttribute('aria-label', label);
    return { ...control, peek: control.read, focus: () => input.focus() };
  };
  const add = (value) => {
    const item = make();
    const remove = smallButton('close', t('form.remove'), () => {
      items = items.filter((each) => each !== item);
      row.remove();
      button.focus();
      tell(element);
    }, { 'aria-label': `${t('form.remove')}: ${label}` });
    const row = h('li', { class: 'item' }, item.element, remove);
    if (value !== undefined) item.write(one.enum ? value : { ...item.peek(), ...value });
    items.push(item);
    rows.append(row);
    return item;
  };
  const write = (values) => {
    items = [];
    rows.replaceChildren();
    for (const value of values ?? []) add(value);
  };
  const isLeftOut = () => !items.length && !required && !schema.default;
  write(schema.default);
  return {
    element,
    write,
    read() {
      if (isLeftOut()) return undefined;
      const wrong = [];
      const values = items.map((item) => {
        try {
          return item.read();
        } catch (error) {
          if (!(error instanceof FieldProblem)) throw error;
          wrong.push(error);
          return undefined;
        }
      });
      if (wrong.length) throw new FieldProblem('', wrong[0].focus);
      return values;
    },
    peek: () => (isLeftOut() ? undefined : items.map((item) => item.peek())),
    focus: () => (items[0] ?? button).focus(),
    refuse: ([at, ...rest], sentence) => items[at]?.refuse?.(rest, sentence),
  };
}
