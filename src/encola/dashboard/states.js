/** The words of the service: states, in the order in which people look for them. */

export const STATES = ['PENDING', 'SCHEDULED', 'STARTED', 'PROCESSING', 'RETRY', 'SUCCESS', 'FAILURE', 'REVOKED'];
export const RUNNING = new Set(['STARTED', 'PROCESSING']);
export const FINISHED = new Set(['SUCCESS', 'FAILURE', 'REVOKED']);
export const isFinished = (state) => FINISHED.has(state);
