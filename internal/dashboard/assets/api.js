// Requests to the server that this page came from, with the key of whoever
// looks. The key is kept for this tab only.

const stored = 'mintonce.key';
const patience = 25_000;

let key = sessionStorage.getItem(stored) || '';

export function hasKey() { return key !== ''; }

export function keep(value) {
  key = value;
  if (value) sessionStorage.setItem(stored, value);
  else sessionStorage.removeItem(stored);
}

/** What went wrong with a request. status is 0 if there was no answer. */
export class Failure extends Error {
  constructor(status, problem = {}) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.title = problem.title || '';
    this.retryAfter = problem.retryAfter || 0;
  }
}

/** Sends a request and returns the response, which is good. */
export async function send(path, { method = 'GET', headers = {}, signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method, signal, cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
      headers: key ? { ...headers, Authorization: `Bearer ${key}` } : headers,
    });
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Failure(0);
  }
  if (response.ok) return response;
  let problem = {};
  try {
    problem = await response.json();
  } catch { /* not one of ours */ }
  throw new Failure(response.status, { ...problem, retryAfter: Number(response.headers.get('Retry-After')) || 0 });
}

/** The JSON of an answer. */
export async function ask(path, options = {}) {
  const response = await send(path, { signal: AbortSignal.timeout(patience), ...options });
  try {
    return await response.json();
  } catch {
    throw new Failure(0);
  }
}
