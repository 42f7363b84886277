/** The task types, asked for once: their names for people, and the schemas that forms are made of. */
import { get } from './api.js';
import { tOr } from './i18n.js';

let asked = null;

/** @returns {Promise<Array<{name: string, queue: string, input_schema: object}>>} */
export function taskTypes() {
  asked ??= get('/tasks/types').then((answer) => answer.types, (error) => {
    asked = null;
    throw error;
  });
  return asked;
}

/** Those with buttons of their own on the list of tasks. */
const BY_BUTTON = new Set(['bulk_cancel', 'bulk_retry']);

/** Whether people start it with a form. */
export const hasForm = ({ name }) => !BY_BUTTON.has(name);

/** "Enviar Email" for `email`; a type of the user's is called what they called it. */
export const typeName = (name) => tOr(`type.${name}`, name);
