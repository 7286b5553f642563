// Texts, times and durations in the language of the reader. All texts are in
// one file for each language; the page's HTML is English until they are there.

const files = { en: 'en', zh: 'zh-Hans' };
const remembered = 'mintonce.language';

let texts = {};
let language = 'en';

/** The reader's language: as chosen here before, or that of the browser. */
export function preferred() {
  const chosen = localStorage.getItem(remembered);
  if (chosen in files) return chosen;
  return (navigator.language || '').toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

export function current() { return language; }

/** Loads a language and puts it into the page. */
export async function use(chosen, remember) {
  const response = await fetch(`/dashboard/${chosen}.json`);
  texts = await response.json();
  language = chosen;
  if (remember) localStorage.setItem(remembered, chosen);
  document.documentElement.lang = files[chosen];
  for (const element of document.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll('[data-t-label]')) element.setAttribute('aria-label', t(element.dataset.tLabel));
  for (const element of document.querySelectorAll('[data-t-placeholder]')) element.placeholder = t(element.dataset.tPlaceholder);
  for (const button of document.querySelectorAll('[data-language]')) button.setAttribute('aria-pressed', String(button.dataset.language === chosen));
}

/** The text of a key, with {name} replaced by values.name. If there are forms
 * for one and for others, values.n decides. */
export function t(key, values = {}) {
  const text = (values.n === 1 && texts[`${key}.one`]) || texts[key] || key;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === 'number' ? number(values[name]) : values[name] ?? ''));
}

/** A word that the server uses, in the reader's language if it is known. */
export function word(kind, value) {
  return texts[`${kind}.${value}`] || value;
}

export function number(n) { return n.toLocaleString(files[language]); }

/** A duration of milliseconds with its two largest units. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [d, h, m, s] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  if (d > 0) return t(h ? 'time.dh' : 'time.d', { d, h });
  if (h > 0) return t(m ? 'time.hm' : 'time.h', { h, m });
  if (m > 0) return t(s ? 'time.ms' : 'time.m', { m, s });
  return t('time.s', { s });
}

/** How far a moment is from now, as "in 5 min" or "5 min ago". */
export function relative(at, now) {
  return at > now ? t('time.in', { time: duration(at - now) }) : t('time.ago', { time: duration(now - at) });
}

/** The time of day where the reader is, with the day if it is another one. */
export function clock(at, now = Date.now()) {
  const date = new Date(at);
  const options = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
  if (date.toDateString() !== new Date(now).toDateString()) Object.assign(options, { month: 'short', day: 'numeric' });
  return new Intl.DateTimeFormat(files[language], options).format(date);
}

/** A <time> element's text and machine-readable form. */
export function moment(element, at, text) {
  const iso = new Date(at).toISOString();
  if (element.dateTime !== iso) element.dateTime = element.title = iso;
  put(element, text);
}

/** Makes an element. A value of "on..." is a listener, others are attributes. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Sets a text, if it differs: what has not changed is not announced again. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows or hides an element. */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}
