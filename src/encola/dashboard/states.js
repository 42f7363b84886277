/** The words of the service: states, in the order in which people look for them. */

export const STATES = ['PENDING', 'SCHEDULED', 'STARTED', 'PROCESSING', 'RETRY', 'SUCCESS', 'FAILURE', 'REVOKED'];
export const RUNNING = new Set(['STARTED', 'PROCESSING']);
export const FINISHED = new Set(['SUCCESS', 'FAILURE', 'REVOKED']);
export const isFinished = (state) => FINISHED.has(state);

/** The lesson's four figures. Active counts what waits; failed counts what was cancelled. */
export function figures(counts) {
  const sum = (states) => states.reduce((total, state) => total + (counts[state] ?? 0), 0);
  return {
    total: sum(STATES),
    active: sum(STATES.filter((state) => !FINISHED.has(state))),
    completed: sum(['SUCCESS']),
    failed: sum(['FAILURE', 'REVOKED']),
  };
}
