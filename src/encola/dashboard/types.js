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

/** "Enviar Email" for `email`; a type of the user's is called what they called it. */
export const typeName = (name) => tOr(`type.${name}`, name);
