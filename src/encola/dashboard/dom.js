/**
 * Elements from plain calls. Text always enters as text: there is no way in here to make
 * an element out of a string, so nothing that a task says can become one.
 */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag
 * @param {object} [props] `class`, `text`, `on: {event: handler}`, `data: {}`, `css: {'--x': 1}`;
 *   anything else is an attribute. null, undefined and false leave it out.
 * @param {...(Node|string|null|undefined|false|Array)} children
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for a drawing. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  element.append(...children.flat(3).filter((child) => child || child === 0));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === 'text') element.textContent = value;
  else if (name === 'class') element.setAttribute('class', value);
  else if (name === 'on') for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
  else if (name === 'data') Object.assign(element.dataset, value);
  else if (name === 'css') for (const [key, amount] of Object.entries(value)) element.style.setProperty(key, amount);
  else if (name === 'value') element.value = value;
  else if (name.startsWith('on')) throw new TypeError(`no inline handlers: ${name}`);
  else element.setAttribute(name, value === true ? '' : value);
}

/** Writes *text* only when it differs, so that nothing is laid out or announced in vain. */
export function setText(element, text) {
  const wanted = String(text ?? '');
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets, or with null removes, an attribute, only when it differs. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Puts *children* in place of what an element holds. */
export function refill(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((child) => child || child === 0));
  return element;
}

/** An address out of data: only a path of this service becomes a link. */
export function ownPath(address) {
  const text = String(address ?? '');
  return /^\/(?![/\\])[\x21-\x7e]*$/.test(text) ? text : null;
}
