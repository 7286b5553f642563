// What happens, the newest first.

import { clock, duration, make, put, show, t, word } from './words.js';

const most = 200;
const list = document.getElementById('events-list');
const none = document.getElementById('events-none');
const pauseButton = document.getElementById('events-pause');

let events = []; // the newest first
let waiting = null; // those that came while the list is paused
const known = new Set();

const grave = new Set(['failed', 'unanswered', 'credential mismatch', 'record unreadable', 'store away', 'budget spent', 'fallback failed', 'foreign minter']);
const notable = new Set(['overlapped', 'attempt expired', 'reported', 'restored', 'forked', 'lock lost', 'unsaved', 'report not acted']);
const good = new Set(['minted', 'confirmed', 'store back']);

function level(kind) {
  if (grave.has(kind)) return ['critical', '✕'];
  if (notable.has(kind)) return ['warning', '!'];
  return good.has(kind) ? ['ok', '✓'] : ['note', '·'];
}

function identity(event) {
  return [event.event, event.name, Date.parse(event.at), event.by, event.generation, event.attempt, event.reason, event.detail].join('\n');
}

/** The facts of an event, in one line. */
export function facts(event) {
  const parts = [];
  if (event.generation) parts.push(t('generation.n', { n: event.generation }));
  if (event.reason) parts.push(word('reason', event.reason));
  if (event.by) parts.push(t('by', { by: event.by }));
  if (event.actor) parts.push(t('event.actor', { actor: event.actor }));
  if (event.code) parts.push(t('event.code', { code: String(event.code) }));
  if (event.took) parts.push(t('event.took', { time: event.took < 1e9 ? `${Math.round(event.took / 1e6)}\u00a0ms` : duration(event.took / 1e6) }));
  return parts.join(t('comma'));
}

/** One event as a list item. */
export function item(event, named = true) {
  const [grade, mark] = level(event.event);
  const at = Date.parse(event.at);
  return make('li', { class: `event ${grade}`, 'data-event': event.event, 'data-token': event.name },
    make('time', { datetime: new Date(at).toISOString(), title: new Date(at).toISOString() }, clock(at)),
    make('span', { class: 'mark', 'aria-hidden': 'true' }, mark),
    make('div', {},
      make('p', {}, ...(named ? [make('strong', { class: 'name' }, event.name), ' '] : []), make('span', { class: 'kind' }, word('event', event.event))),
      make('p', { class: 'facts' }, facts(event)),
      ...(event.detail ? [make('p', { class: 'detail' }, event.detail)] : [])));
}

/** Adds events; those that are there already are left out. */
export function add(added) {
  const fresh = added.filter((event) => !known.has(identity(event)));
  for (const event of fresh) known.add(identity(event));
  if (fresh.length === 0) return;
  if (waiting) {
    waiting.push(...fresh);
    label();
    return;
  }
  fresh.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const newest = events.length ? Date.parse(events[0].at) : 0;
  if (events.length && Date.parse(fresh[0].at) >= newest) {
    events = [...fresh.toReversed(), ...events];
    for (const event of fresh) list.prepend(item(event));
  } else { // some are older than what is there
    events = [...fresh, ...events].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
    redraw();
  }
  trim();
  show(none, false);
}

function trim() {
  for (const event of events.splice(most)) known.delete(identity(event));
  while (list.children.length > most) list.lastElementChild.remove();
}

/** Writes the list anew, in another language for example. It is no news. */
export function redraw() {
  list.setAttribute('aria-busy', 'true');
  list.replaceChildren(...events.slice(0, most).map((event) => item(event)));
  list.removeAttribute('aria-busy');
  show(none, events.length === 0);
  label();
}

export function clear() {
  events = [];
  known.clear();
  waiting = null;
  redraw();
}

function label() {
  pauseButton.setAttribute('aria-pressed', String(waiting !== null));
  put(pauseButton, waiting ? t('events.resume', { n: waiting.length }) : t('events.pause'));
}

pauseButton.addEventListener('click', () => {
  const missed = waiting;
  waiting = missed ? null : [];
  label();
  if (missed) {
    for (const event of missed) known.delete(identity(event));
    add(missed);
  }
});
