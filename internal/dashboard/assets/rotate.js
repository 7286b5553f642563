// The dialog before a rotation, which says what it does.

import { ask } from './api.js';
import { duration, make, put, show, t } from './words.js';

const dialog = document.getElementById('rotate');
const outcome = document.getElementById('rotate-outcome');
const cancel = document.getElementById('rotate-cancel');
const go = document.getElementById('rotate-go');

let name = '';
let busy = false;

/** Asks whether to rotate the token of this status. */
export function askToRotate(status) {
  name = status.name;
  put(document.getElementById('rotate-title'), t('rotate.title', { name }));
  const { rotations = 0, rotation_limit: limit } = status.budget || {};
  document.getElementById('rotate-text').replaceChildren(
    make('p', {}, t('rotate.what', { n: (status.generation || 0) + 1 })),
    make('ul', {},
      make('li', {}, t(status.kind ? (status.overlap ? 'rotate.overlap' : 'rotate.ends') : 'rotate.unknown', { time: duration((status.overlap || 0) * 1000) })),
      make('li', {}, t('rotate.readers')),
      make('li', {}, limit ? t('rotate.limit', { n: rotations + 1, limit }) : t('rotate.budget')),
      make('li', {}, t('rotate.history'))));
  put(outcome, '');
  outcome.className = 'outcome';
  put(cancel, t('cancel'));
  show(go, true);
  go.disabled = false;
  dialog.showModal();
  cancel.focus(); // the key that was pressed to get here must not rotate
}

go.addEventListener('click', async () => {
  if (busy) return;
  busy = true;
  go.disabled = true;
  outcome.className = 'outcome';
  put(outcome, t('rotate.asking'));
  try {
    const answer = await ask(`/v1/tokens/${encodeURIComponent(name)}/rotate`, { method: 'POST' });
    outcome.className = 'outcome ok';
    put(outcome, t('rotate.done', { n: answer.generation }));
    show(go, false);
  } catch (failure) {
    outcome.className = 'outcome critical';
    put(outcome, t(failure.status ? 'rotate.failed' : 'rotate.silent', { why: failure.message }));
    go.disabled = false;
  }
  put(cancel, t('close'));
  cancel.focus();
  busy = false;
});

cancel.addEventListener('click', () => dialog.close());

/** Closes the dialog and forgets what it was about. */
export function clear() {
  dialog.close();
  put(document.getElementById('rotate-title'), '');
  document.getElementById('rotate-text').replaceChildren();
}
