// The list of tokens: those in trouble first, a page at a time where there are
// very many.

import { ask } from './api.js';
import { card } from './card.js';
import { number, put, show, t } from './words.js';

const pageSize = 50;
const list = document.getElementById('cards');
const search = document.getElementById('search');
const all = document.getElementById('filter-all');
const troubled = document.getElementById('filter-trouble');

let cards = new Map(); // by name, those of this page
let handlers = {};
let page = { after: '', next: '', total: 0 };
let onlyTrouble = false;
let counts = { tokens: 0, trouble: 0 };

function query(parameters) {
  const q = new URLSearchParams(parameters);
  if (onlyTrouble) q.set('trouble', '');
  if (search.value.trim()) q.set('q', search.value.trim());
  return `/v1/status?${q}`;
}

/** Reads the page anew. It returns a function that shows it, which returns the
 * events that came with it. */
export async function reload({ history = 0 } = {}) {
  const answer = await ask(query({ limit: pageSize, history, ...(page.after ? { after: page.after } : {}) }));
  return () => {
    page = { ...page, next: answer.next || '', total: answer.total || answer.tokens.length };
    take(answer.tokens);
    return answer.tokens.flatMap((token) => token.history || []);
  };
}

/** Reads single tokens anew, if they are on this page. */
export async function refresh(names) {
  const here = names.filter((name) => cards.has(name));
  if (here.length === 0) return;
  const q = new URLSearchParams({ history: 20, limit: pageSize });
  for (const name of here) q.append('name', name);
  const answer = await ask(`/v1/status?${q}`);
  for (const token of answer.tokens) cards.get(token.name)?.update(token);
  arrange();
}

function take(tokens) {
  const names = new Set(tokens.map((token) => token.name));
  for (const [name, one] of cards) {
    if (!names.has(name)) {
      one.element.remove();
      cards.delete(name);
    }
  }
  for (const token of tokens) {
    if (!cards.has(token.name)) cards.set(token.name, card(token.name, handlers));
    cards.get(token.name).update(token);
  }
  arrange();
  labels();
}

const urgency = { critical: 0, warning: 1, ok: 2 };

/** Puts the cards in order. Moving one would take the focus from it. */
function arrange() {
  const order = [...cards.values()].sort((a, b) => urgency[a.level()] - urgency[b.level()] || (a.name < b.name ? -1 : 1));
  const moved = order.some((one, i) => list.children[i] !== one.element);
  if (!moved) return;
  if (list.contains(document.activeElement)) {
    for (const one of order) if (!one.element.isConnected) list.append(one.element);
    return;
  }
  list.append(...order.map((one) => one.element));
}

function labels() {
  put(all, t('filter.all', { n: number(counts.tokens) }));
  put(troubled, t('filter.trouble', { n: number(counts.trouble) }));
  all.setAttribute('aria-pressed', String(!onlyTrouble));
  troubled.setAttribute('aria-pressed', String(onlyTrouble));
  const none = document.getElementById('tokens-none');
  show(none, cards.size === 0);
  put(none, cards.size > 0 ? '' : t(search.value.trim() ? 'none.found' : onlyTrouble ? 'none.trouble' : 'none'));
  show(document.getElementById('pages'), Boolean(page.after || page.next));
  show(document.getElementById('page-first'), Boolean(page.after));
  show(document.getElementById('page-next'), Boolean(page.next));
  put(document.getElementById('page-text'), t('page.text', { n: cards.size, total: page.total }));
}

/** Notes how many tokens there are, and how many in trouble. */
export function count(overview) {
  counts = { tokens: overview.tokens, trouble: overview.warning + overview.critical };
  labels();
}

/** Whether there is trouble on a page other than this one. */
export function hidesTrouble() { return page.next !== '' && [...cards.values()].filter((one) => one.level() !== 'ok').length < counts.trouble; }

export function showTrouble() { choose(true); }

export function tick() { for (const one of cards.values()) one.tick(); }

export function has(name) { return cards.has(name); }

/** Builds the cards anew: for another language, or other rights. */
export function redraw(next = handlers) {
  handlers = next;
  list.replaceChildren();
  cards = new Map();
  labels();
}

function choose(trouble) {
  onlyTrouble = trouble;
  page = { after: '', next: '', total: 0 };
  labels();
  handlers.changed();
}

all.addEventListener('click', () => choose(false));
troubled.addEventListener('click', () => choose(true));
let typing;
search.addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(() => choose(onlyTrouble), 250);
});
document.getElementById('page-next').addEventListener('click', () => turn(page.next));
document.getElementById('page-first').addEventListener('click', () => turn(''));

function turn(after) {
  page = { after, next: '', total: page.total };
  document.getElementById('tokens').scrollIntoView();
  handlers.changed();
}
