/** The filter of the list of tasks: in the address, and as the API takes it. */

/** Parts of the address that narrow the list. */
export const PARTS = ['state', 'type', 'queue', 'user_id'];

/** Of a query only what narrows the list. */
export const filterPart = (query) => Object.fromEntries(PARTS.filter((name) => query[name]).map((name) => [name, query[name]]));

/** Whether a task of an event would be in the list. */
export function fits(event, query) {
  return PARTS.every((name) => !query[name] || query[name] === String(event[name] ?? ''));
}
