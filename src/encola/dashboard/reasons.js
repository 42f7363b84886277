/** Why a task ended, in the reader's language. */
import { tOr } from './i18n.js';

/** What its code means; that it raised an error is said by the error. */
export const meaningOf = (code) => (code && code !== 'failed' ? tOr(`error.${code}`, '') : '');

/** Its error; the meaning where that is the bare code. */
export const errorOf = ({ error, error_code: code }) => (error && error !== code ? error : meaningOf(code) || code || '');
