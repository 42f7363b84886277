/** The filter of the list of tasks: in the address, and as the API takes it. */

/** Ages that can be chosen, in seconds. */
export const AGES = { '15m': 900, '1h': 3600, '24h': 86_400, '7d': 604_800 };

/** Parts of the address that narrow the list. */
export const PARTS = ['search', 'state', 'type', 'queue', 'user_id', 'age', 'since', 'until'];

/** Of a query only what narrows the list. */
export const filterPart = (query) => Object.fromEntries(PARTS.filter((name) => query[name]).map((name) => [name, query[name]]));

/** As `GET /tasks` takes it: an age is a time before now. */
export function apiFilter(query, now = Date.now()) {
  const { age, ...rest } = filterPart(query);
  if (AGES[age]) rest.since = new Date(now - AGES[age] * 1000).toISOString();
  return rest;
}

/** Whether a task of an event would be in the list; by a beginning of an id too. */
export function fits(event, query) {
  const same = ['type', 'queue', 'user_id', 'state'].every((name) => !query[name] || query[name] === String(event[name] ?? ''));
  return same && (!query.search || event.task_id.startsWith(query.search)) && !query.until;
}
