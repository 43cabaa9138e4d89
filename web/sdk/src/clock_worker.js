// Rings for a page whose own timers the browser slows down while nobody looks at it. It is handed
// out as it is, so it imports nothing. { ring: 7, after: 300 } asks for 7 in 300 ms, { ring: 7 } for
// no more of it.
const timers = new Map();

globalThis.onmessage = ({ data: { ring, after } }) => {
  globalThis.clearTimeout(timers.get(ring));
  timers.delete(ring);
  if (after === undefined) return;
  const timer = globalThis.setTimeout(() => {
    timers.delete(ring);
    globalThis.postMessage(ring);
  }, after);
  timers.set(ring, timer);
};
