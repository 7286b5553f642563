// The verdict, which answers in a moment: is all well, what is not, until when
// is everybody served. And the processes that are alive.

import { clock, duration, make, put, show, t } from './words.js';

const marks = { ok: '✓', warning: '!', critical: '✕', unknown: '?' };
const section = document.getElementById('verdict');
const figures = document.getElementById('figures');

let overview = null;
let received = 0; // on the page's own clock
let failing = null; // since when, and how, the server does not answer

export function take(next) {
  overview = next;
  received = performance.now();
  failing = null;
  draw();
}

/** The server does not answer, or not well: what is shown is old. */
export function fail(failure) {
  failing ||= { since: Date.now(), failure };
  failing.failure = failure;
  draw();
}

export function draw() {
  if (!overview && !failing) return;
  const level = failing ? 'unknown' : overview.critical ? 'critical' : overview.warning ? 'warning' : 'ok';
  section.dataset.level = level;
  put(section.querySelector('.mark'), marks[level]);
  put(document.getElementById('verdict-text'), sentence(level));
  const more = document.getElementById('verdict-more');
  show(more, Boolean(failing));
  if (failing) put(more, t('verdict.unknown.text', { since: clock(failing.since), why: failing.failure.status ? failing.failure.message : t('verdict.unknown.silent') }));
  document.title = `${marks[level]} ${t(`title.${level}`)} – mintonce`;
  if (!overview) return;
  drawFigures();
  instances();
}

function sentence(level) {
  if (level === 'unknown') return t('verdict.unknown');
  const { tokens, critical, warning } = overview;
  if (tokens === 0) return t('none');
  if (critical) return t('verdict.critical', { n: critical, total: tokens });
  if (warning) return t('verdict.warning', { n: warning, total: tokens });
  return t('verdict.ok', { n: tokens });
}

function drawFigures() {
  const passed = performance.now() - received;
  const moment = (value, key) => {
    if (!value) return { value: '–', text: t(`figure.${key}.none`) };
    const left = value.in_ms - passed;
    return { value: left > 0 ? duration(left) : t('now'), text: t(`figure.${key}.text`, { at: clock(Date.parse(value.at)), name: value.name }) };
  };
  const alive = overview.instances.length;
  const rows = [
    ['safe', moment(overview.end, 'safe')],
    ['refresh', moment(overview.refresh, 'refresh')],
    ['usable', { value: t('of', { n: overview.usable, total: overview.tokens }), text: t('figure.usable.text') }],
    ['alive', { value: overview.instances_error ? '?' : t('number', { n: alive }), text: overview.instances_error || t('figure.alive.text', { n: overview.instances.filter((one) => one.mints).length }) }],
  ];
  while (figures.children.length < rows.length) figures.append(make('div', {}, make('dt'), make('dd', { class: 'value' }), make('dd', { class: 'text' })));
  rows.forEach(([key, { value, text }], i) => {
    const [term, number, note] = figures.children[i].children;
    figures.children[i].dataset.figure = key;
    put(term, t(`figure.${key}`));
    put(number, value);
    put(note, text);
  });
}

function instances() {
  const none = document.getElementById('instances-none');
  const list = document.getElementById('instances-list');
  show(none, overview.instances.length === 0);
  put(none, overview.instances.length ? '' : overview.instances_error || t('instances.none'));
  const names = overview.instances.map((one) => one.instance);
  const seen = new Map([...list.children].map((row) => [row.dataset.id, row]));
  for (const one of overview.instances) {
    const row = seen.get(one.id) || list.appendChild(make('li', { 'data-id': one.id, 'data-instance': one.instance },
      make('p', {}, make('strong', { class: 'name' }, one.instance), ' ', make('span', { class: 'role' })), make('p', { class: 'facts' }), make('p', { class: 'remark' })));
    seen.delete(one.id);
    const [title, facts, remark] = row.children;
    put(title.lastElementChild, t(one.mints ? 'instance.mints' : 'instance.reads'));
    put(facts, [...(one.tokens == null ? [] : [t('instance.tokens', { n: one.tokens })]), t('instance.since', { at: clock(Date.parse(one.since)) })].join(t('comma')));
    const remarks = [];
    if (one.instance === overview.instance) remarks.push(t('instance.this'));
    if (names.filter((name) => name === one.instance).length > 1) remarks.push(t('instance.same'));
    put(remark, remarks.join(t('stop')));
    show(remark, remarks.length > 0);
  }
  for (const row of seen.values()) row.remove();
}

export function clear() {
  overview = failing = null;
  section.removeAttribute('data-level');
  figures.replaceChildren();
  for (const id of ['verdict-text', 'verdict-more']) put(document.getElementById(id), '');
  document.getElementById('instances-list').replaceChildren();
}
