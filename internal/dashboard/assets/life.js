// The life of a token as a bar: what has passed, now, the moment of its refresh
// and the end.

import { clock, duration, make, put, relative, t } from './words.js';

export function lifeBar() {
  const passed = make('span', { class: 'passed' });
  const reserve = make('span', { class: 'reserve' });
  const refresh = make('span', { class: 'refresh' });
  const now = make('span', { class: 'now' });
  const track = make('div', { class: 'track', role: 'img' }, passed, reserve, refresh, now);
  const from = make('span', { class: 'from' });
  const due = make('span', { class: 'due' });
  const element = make('div', { class: 'life' }, track, make('div', { class: 'scale', 'aria-hidden': 'true' }, from, due));

  /** Draws the bar at a moment of the store's clock. */
  function draw(status, at) {
    const [begin, over, turn] = [status.issued_at, status.expires_at, status.refresh_at].map(Date.parse);
    const share = (moment) => `${(100 * Math.min(Math.max((moment - begin) / (over - begin || 1), 0), 1)).toFixed(2)}%`;
    passed.style.width = share(at);
    now.style.left = share(at);
    refresh.style.left = share(turn);
    reserve.style.left = share(turn);
    due.style.left = share(turn);
    due.classList.toggle('early', parseFloat(share(turn)) < 50);
    now.hidden = at >= over;
    element.classList.toggle('over', at >= over);
    element.classList.toggle('late', at >= turn);
    put(from, clock(begin, at));
    put(due, t('life.due', { at: clock(turn, at) }));
    const label = t('life.label', {
      minted: clock(begin, at), refresh: clock(turn, at), in: relative(turn, at), end: clock(over, at),
      left: at < over ? t('left', { time: duration(over - at) }) : t('ended', { time: duration(at - over) }),
    });
    // Not every second: a screen reader would begin anew.
    const minute = label.replace(/\d+\s*(s|秒)/g, '');
    if (track.dataset.minute !== minute) {
      track.dataset.minute = minute;
      track.setAttribute('aria-label', label);
    }
  }

  return { element, draw };
}
