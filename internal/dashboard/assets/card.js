// One token.

import { item } from './events.js';
import { lifeBar } from './life.js';
import { clock, duration, make, moment, put, relative, show, t, word } from './words.js';

const marks = { ok: '✓', warning: '!', critical: '✕' };

/** How urgent the state of a token is. */
export function levelOf(status) { return status.trouble?.level || 'ok'; }

/** A card shows one token. ask is called to rotate it, or is null without that
 * right; detail is called when its history is wanted. */
export function card(name, { ask, detail }) {
  const id = `token-${name}`;
  const chip = make('span', { class: 'chip' }, make('span', { class: 'mark', 'aria-hidden': 'true' }), make('span'));
  const left = make('p', { class: 'left' }, make('strong'), make('span'));
  const life = lifeBar();
  const troubles = make('ul', { class: 'troubles' });
  const rows = {};
  const list = make('dl', { class: 'facts' });
  for (const key of ['minted', 'next', 'budget', 'lock']) {
    rows[key] = { term: make('dt', {}, t(`fact.${key}`)), value: make('dd') };
    rows[key].row = make('div', { 'data-fact': key }, rows[key].term, rows[key].value);
    list.append(rows[key].row);
  }
  const more = make('div', { class: 'more', id: `${id}-more`, hidden: true });
  const toggle = make('button', { type: 'button', 'aria-expanded': 'false', 'aria-controls': `${id}-more`, 'aria-describedby': `${id}-name`, onclick: open }, t('details'));
  const rotate = ask && make('button', { type: 'button', class: 'rotate', 'aria-describedby': `${id}-name`, 'aria-haspopup': 'dialog', onclick: () => ask(status) }, t('rotate'));
  const heading = make('h3', { class: 'name', id: `${id}-name` }, name);
  const element = make('li', {}, make('article', { class: 'card', 'aria-labelledby': `${id}-name`, 'data-token': name },
    make('div', { class: 'title' }, heading, chip, left), life.element, troubles,
    make('div', { class: 'rest' }, list, make('div', { class: 'buttons' }, toggle, ...(rotate ? [rotate] : []))), more));
  const article = element.firstElementChild;

  let status = { name };
  let received = 0; // on the page's own clock
  let history = [];

  function open() {
    const expanded = toggle.getAttribute('aria-expanded') !== 'true';
    toggle.setAttribute('aria-expanded', String(expanded));
    show(more, expanded);
    if (expanded) {
      details();
      detail(name);
    }
  }

  /** Takes a status that came in just now. */
  function update(next) {
    if (next.history?.length) history = next.history;
    status = next;
    received = performance.now();
    tick();
    if (!more.hidden) details();
  }

  /** The store's clock, as far as this page knows it. */
  function now() { return Date.parse(status.now) + performance.now() - received; }

  /** Brings all that counts down up to date. */
  function tick() {
    const level = levelOf(status);
    article.dataset.level = level;
    put(chip.firstElementChild, marks[level]);
    put(chip.lastElementChild, word('state', status.state));
    const known = status.generation > 0;
    show(life.element, known);
    show(list, known || Boolean(status.next_step));
    show(left, known);
    const at = now();
    if (known) {
      const end = Date.parse(status.expires_at);
      put(left.firstElementChild, at < end ? t('left', { time: duration(end - at) }) : t('ended', { time: duration(at - end) }));
      put(left.lastElementChild, at < end ? t('left.until', { at: clock(end, at) }) : '');
      life.draw(status, at);
    }
    if (status.next_step) explain(at);
    complain(at);
  }

  function explain(at) {
    fact('minted', status.generation > 0 && t('fact.minted.text', {
      n: status.generation, by: status.minted_by || '?', reason: word('reason', status.reason || '?'), ago: relative(Date.parse(status.issued_at), at),
    }));
    fact('next', nextStep(status, at));
    fact('budget', budget(status.budget));
    fact('lock', status.lock_holder && t('fact.lock.text', { holder: status.lock_holder }));
  }

  function fact(key, text) {
    show(rows[key].row, Boolean(text));
    if (text) put(rows[key].value, text);
  }

  /** Says what is wrong. */
  function complain(at) {
    const texts = troublesOf(status, at);
    const said = texts.map(({ title, text }) => `${title}\n${text}`).join('\n\n');
    if (troubles.dataset.said === said) return;
    troubles.dataset.said = said;
    show(troubles, texts.length > 0);
    troubles.replaceChildren(...texts.map(({ title, text }) => make('li', {}, make('strong', {}, title), ...(text ? [make('span', {}, text)] : []))));
  }

  function details() {
    const at = now();
    const rest = make('dl', { class: 'facts' });
    const row = (key, value) => value && rest.append(make('div', {}, make('dt', {}, t(`detail.${key}`)), make('dd', {}, value)));
    const time = (value) => {
      if (!value) return null;
      const node = make('time');
      moment(node, Date.parse(value), `${clock(Date.parse(value), at)} (${relative(Date.parse(value), at)})`);
      return node;
    };
    row('issued', time(status.issued_at));
    row('refresh', time(status.refresh_at));
    row('expires', time(status.expires_at));
    row('fingerprint', status.fingerprint);
    row('credential', status.credential);
    row('revision', status.revision ? String(status.revision) : '');
    row('kind', status.kind && word('kind', status.kind));
    for (const attempt of status.attempts || []) {
      row('attempt', t('detail.attempt.text', { by: attempt.by, reason: word('reason', attempt.reason), until: clock(Date.parse(attempt.deadline), at) }));
    }
    const past = history.length
      ? make('ol', { class: 'events', 'aria-label': t('detail.history') }, ...history.map((event) => item(event, false)))
      : make('p', { class: 'notice' }, t('events.none'));
    more.replaceChildren(rest, make('h4', {}, t('detail.history')), past);
  }

  return { element, update, tick, name, level: () => levelOf(status), isOpen: () => !more.hidden };
}

function nextStep({ next_step: step, refresh_at: refresh }, at) {
  const reason = word('reason', step.reason || '');
  const when = step.at && t('when', { at: clock(Date.parse(step.at), at), in: relative(Date.parse(step.at), at) });
  if (step.action === 'rest') return t('next.rest', { when: t('when', { at: clock(Date.parse(refresh), at), in: relative(Date.parse(refresh), at) }) });
  return t(`next.${step.action}`, { reason, when });
}

function budget(spent) {
  if (!spent) return '';
  const part = (key, n, limit) => (limit ? t(`${key}.limited`, { n, limit }) : t(key, { n }));
  return part('budget.mints', spent.mints, spent.mint_limit) + t('comma') + part('budget.rotations', spent.rotations, spent.rotation_limit);
}

function troublesOf(status, at) {
  const { failure, doubt, foreign } = status;
  return (status.trouble?.why || []).map((why) => {
    let text = '';
    if (why === 'failing' && failure) {
      text = t('trouble.failing.text', {
        message: failure.message, who: word('class', failure.class), by: failure.by, ago: relative(Date.parse(failure.at), at),
        retry: failure.retry_after && Date.parse(failure.retry_after) > at ? t('trouble.failing.retry', { in: relative(Date.parse(failure.retry_after), at) }) : t('trouble.failing.now'),
      });
    } else if (why === 'doubt') text = t('trouble.doubt.text', { why: doubt || '', ago: relative(Date.parse(status.doubt_since), at) });
    else if (why === 'foreign' && foreign) text = foreign.advice || '';
    else if (why === 'budget') text = t('trouble.budget.text', { day: status.budget?.day || '' });
    else if (why === 'record' || why === 'store') text = status.error || '';
    return { title: t(`trouble.${why}`, { n: failure?.count || 0 }), text };
  });
}
