// Times as people read them. The clock is that of the node: that of the browser may be wrong.

let ahead = 0;

/** Take the node's time for now: `moment` as it wrote it. */
export function setClock(moment) {
  const at = Date.parse(moment);
  if (!Number.isNaN(at)) ahead = at - Date.now();
}

/** Unix time of the node, in milliseconds. */
export function now() {
  return Date.now() + ahead;
}

/** `12s`, `3m`, `2h 05m`, `4d`: how long, in two units at most. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h ${String(minutes % 60).padStart(2, "0")}m`;
  return `${Math.floor(hours / 24)}d`;
}

/** How long ago a moment of the node was; an en dash where there was none. */
export function age(moment) {
  return moment ? span(now() - Date.parse(moment)) : "–";
}

/** How long until then. */
export function left(moment) {
  return moment ? span(Date.parse(moment) - now()) : "";
}

/** A moment in the reader's own time, to the second. */
export function local(moment) {
  if (!moment) return "never";
  const at = new Date(moment);
  const two = (number) => String(number).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** Only the time of day. */
export function clock(moment) {
  return local(moment).slice(11);
}

/** Milliseconds with as many digits as say something. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
}
