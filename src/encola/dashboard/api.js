/** The HTTP API as functions. What goes wrong is an ApiError with the problem's stable code. */
import { language, t, tOr } from './i18n.js';
import { missStore } from './live.js';

export class ApiError extends Error {
  /** @param {{status: number, code: string, detail: string, errors?: Array}} problem */
  constructor(problem) {
    super(problem.detail);
    Object.assign(this, problem);
  }

  /** What a reader is told: the sentence for this code in their language, else the service's own. */
  get sentence() {
    return tOr(`error.${this.code}`, this.detail || t('error.unknown'));
  }
}

export const get = (path, query, options) => call('GET', address(path, query), undefined, options);
export const post = (path, body, options) => call('POST', path, body, options);
export const put = (path, body, options) => call('PUT', path, body, options);
export const del = (path) => call('DELETE', path);

/** Its first *most* bytes. */
export async function getBytes(path, most) {
  const response = await reach(path, { headers: { Range: `bytes=0-${most - 1}` } });
  if (!response.ok) throw problem(response, await response.json().catch(() => null));
  return response.arrayBuffer();
}

/** *path* with the parts of *query* that are given. */
export function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** A task's own address; an id may hold any character. */
export const taskPath = (id, rest = '') => `/tasks/${encodeURIComponent(id)}${rest}`;

async function call(method, url, body, options = {}) {
  const headers = { 'Accept': 'application/json', 'Accept-Language': language(), ...options.headers };
  if (body !== undefined && !(body instanceof FormData)) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(body);
  }
  const response = await reach(url, { method, headers, body, signal: options.signal });
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw problem(response, answer);
}

function problem({ status }, answer) {
  if (answer?.code === 'store_unavailable') missStore();
  return new ApiError({ status, code: answer?.code ?? 'unknown', detail: typeof answer?.detail === 'string' ? answer.detail : '', errors: answer?.errors });
}

async function reach(url, request) {
  try {
    return await fetch(url, request);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError({ status: 0, code: 'unreachable', detail: '' });
  }
}
