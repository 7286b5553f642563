// What is looked at, and when it is asked for. The feed says what has changed;
// beside it, all is read again from time to time, so that a page that missed
// something is right again soon.

import * as api from './api.js';
import * as board from './board.js';
import * as events from './events.js';
import { askToRotate, clear as forgetRotation } from './rotate.js';
import { follow } from './stream.js';
import * as tokens from './tokens.js';
import * as words from './words.js';

const { put, show, t } = words;
const again = 10_000; // all is read again
const gather = 200; // events of a moment are looked after together
const settled = 1500; // by then the server's figures are of after an event
const atMost = 2000; // and no more often than this, however many there are

const gate = document.getElementById('gate');
const link = document.getElementById('link');

let me = null; // what the server says of the key
let stop = null; // ends the feed
let poll; // the timer of the next reading
let changed = new Set(); // names that events were about
let soon = 0; // the timer that looks after them
let looked = 0; // when that was done last
let linked = 'connecting';
let reading = Promise.resolve(); // one reading at a time
let greeted = false; // the feed has begun, after which a gap is one
let visit = 0; // answers to an earlier one, with another key, are too late

async function enter() {
  leave();
  show(gate, false);
  try {
    me = await api.ask('/v1/me');
  } catch (failure) {
    if (failure.status === 401 || failure.status === 429) return lock(failure);
    board.fail(failure);
    show(document.getElementById('board'), true);
    poll = setTimeout(enter, again);
    return;
  }
  const server = document.getElementById('server');
  put(server, me.instance || '');
  show(server, Boolean(me.instance));
  show(document.getElementById('leave'), api.hasKey());
  if (!me.rights.includes('read')) return lock({ status: 403 });
  show(document.getElementById('board'), true);
  tokens.redraw(handlers());
  events.redraw();
  stop = follow({ tell, state, denied: lock });
  await read(true);
  if (me && tokens.hidesTrouble()) tokens.showTrouble();
}

function handlers() {
  return {
    ask: me?.rights.includes('operate') ? askToRotate : null,
    detail: (name) => look([name]),
    changed: () => read(true),
  };
}

/** Asks for a key, and shows nothing of what was there. */
function lock(failure) {
  leave();
  const tried = api.hasKey();
  show(document.getElementById('board'), false);
  show(document.getElementById('leave'), tried && failure.status === 403);
  show(gate, true);
  put(document.getElementById('gate-error'), !tried ? '' : failure.status === 403 ? t('key.blind') : failure.status === 429 ? failure.message : t('key.wrong'));
  put(link, '');
  document.title = `${t('key.title')} – mintonce`;
  document.getElementById('key').focus();
}

/** Ends all that is under way. */
function leave() {
  stop?.();
  stop = me = null;
  visit++;
  greeted = false;
  clearTimeout(poll);
  clearTimeout(soon);
  soon = 0;
  changed = new Set();
  tokens.redraw(handlers());
  events.clear();
  board.clear();
  forgetRotation();
}

/** Reads all that is shown; with the history of the tokens, too. */
function read(history = false) {
  const mine = visit;
  reading = reading.then(() => (mine === visit ? readNow(history, () => mine === visit) : null));
  return reading;
}

async function readNow(history, wanted) {
  clearTimeout(poll);
  try {
    const [overview, take] = await Promise.all([api.ask('/v1/overview'), tokens.reload({ history: history ? 20 : 0 })]);
    if (!wanted()) return;
    const past = take();
    board.take(overview);
    tokens.count(overview);
    events.add(past);
  } catch (failure) {
    if (!wanted()) return;
    if (failure.status === 401 || failure.status === 403) {
      lock(failure);
      return;
    }
    board.fail(failure);
  }
  clearTimeout(poll);
  if (!document.hidden) poll = setTimeout(read, again);
}

/** Reads some tokens. */
async function look(names) {
  try {
    await tokens.refresh(names);
  } catch { /* the next reading of all will tell */ }
}

/** Takes what the feed says. */
function tell(event, data) {
  if (event === 'token') {
    events.add([data]);
    changed.add(data.name);
  }
  if (event === 'gap' || (event === 'hello' && !data.resumed && greeted)) changed.add('');
  greeted ||= event === 'hello';
  if (changed.size > 0 && !soon) soon = setTimeout(catchUp, Math.max(gather, looked + atMost - performance.now()));
}

/** Looks after the tokens that events were about. */
function catchUp() {
  soon = 0;
  if (document.hidden) return; // all is read when somebody looks again
  looked = performance.now();
  const names = [...changed];
  changed = new Set();
  if (names.includes('')) {
    read(true);
    return;
  }
  look(names);
  sum();
  setTimeout(sum, settled); // the figures may have been of a moment before
}

/** Reads the figures, which costs the store next to nothing. */
async function sum() {
  const mine = visit;
  if (!me) return;
  try {
    const overview = await api.ask('/v1/overview');
    if (mine !== visit) return;
    board.take(overview);
    tokens.count(overview);
  } catch { /* the next reading of all will tell */ }
}

function state(next) {
  linked = next;
  link.dataset.state = next;
  put(link, t(`link.${next}`));
  if (next === 'away' && me) read(); // it may be the server
}

async function speak(language, remember) {
  await words.use(language, remember);
  if (link.textContent) put(link, t(`link.${linked}`));
  tokens.redraw(handlers());
  events.redraw();
  board.draw();
  if (me?.rights.includes('read')) await read(true);
}

document.getElementById('gate-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = document.getElementById('key');
  api.keep(field.value.trim());
  field.value = '';
  enter();
});
document.getElementById('leave').addEventListener('click', () => {
  api.keep('');
  enter();
});
for (const button of document.querySelectorAll('[data-language]')) {
  button.addEventListener('click', () => speak(button.dataset.language, true));
}
document.addEventListener('visibilitychange', () => {
  if (document.hidden) clearTimeout(poll);
  else if (me?.rights.includes('read')) read(true);
});
setInterval(() => {
  if (document.hidden) return;
  tokens.tick();
  board.draw();
}, 1000);

await words.use(words.preferred());
await enter();
