// The live feed: server-sent events over fetch, because an EventSource cannot
// send a key.

import { send } from './api.js';

const firstPause = 1000;
const longestPause = 30_000;
const silence = 45_000; // three heartbeats: the connection is dead

/** Reads the feed until stop is called. tell gets (event, data) of each event,
 * state gets "connecting", "live" or "away", denied a failure that no waiting
 * mends. */
export function follow({ tell, state, denied }) {
  let last = '';
  let pause = firstPause;
  let timer;
  let connection;

  async function connect() {
    state('connecting');
    connection = new AbortController();
    const { signal } = connection;
    try {
      const response = await send('/v1/events', { signal, headers: last ? { 'Last-Event-ID': last } : {} });
      await read(response.body.getReader(), signal);
    } catch (failure) {
      if (signal.aborted && signal.reason === 'stopped') return;
      if ([401, 403, 404].includes(failure.status)) {
        denied(failure);
        return;
      }
    }
    if (signal.reason === 'stopped') return;
    state('away');
    timer = setTimeout(connect, pause * (0.5 + Math.random() / 2));
    pause = Math.min(2 * pause, longestPause);
  }

  async function read(reader, signal) {
    const decoder = new TextDecoder();
    let watchdog;
    let rest = '';
    try {
      for (;;) {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => connection.abort('silent'), silence);
        const { done, value } = await reader.read();
        if (done || signal.aborted) return;
        const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) take(block);
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  function take(block) {
    let event = '';
    let data = '';
    for (const line of block.split('\n')) {
      const at = line.indexOf(': ');
      const [field, value] = [line.slice(0, at), line.slice(at + 2)];
      if (field === 'event') event = value;
      if (field === 'data') data = value;
      if (field === 'id') last = value;
    }
    if (!event) return; // a heartbeat
    pause = firstPause;
    if (event === 'hello') state('live');
    tell(event, JSON.parse(data));
  }

  connect();
  return function stop() {
    clearTimeout(timer);
    connection.abort('stopped');
  };
}
