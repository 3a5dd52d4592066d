// Times as people read them. The clock is that of the node: that of the browser may be wrong.

const KEY = "dnslb-times";

let ahead = 0;
let isUtc = false;

try {
  isUtc = localStorage.getItem(KEY) === "utc";
} catch {
  // No storage: times are local.
}

/** Take the node's time for now: `moment` as it wrote it. */
export function setClock(moment) {
  const at = Date.parse(moment);
  if (!Number.isNaN(at)) ahead = at - Date.now();
}

/** Unix time of the node, in milliseconds. */
export function now() {
  return Date.now() + ahead;
}

/** Have `button` change between UTC and the zone of the reader, and say which it is. */
export function followZone(button, changed) {
  const show = () => {
    button.textContent = `Times: ${isUtc ? "UTC" : "local"}`;
    button.title = `Times are in ${zone()}.`;
  };
  button.addEventListener("click", () => {
    isUtc = !isUtc;
    try {
      localStorage.setItem(KEY, isUtc ? "utc" : "local");
    } catch {
      // No storage: it lasts until the page is closed.
    }
    show();
    changed();
  });
  show();
}

/** The zone of the times that are shown: `UTC`, `UTC+01:00`. */
export function zone(at = new Date(now())) {
  const minutes = isUtc ? 0 : -at.getTimezoneOffset();
  if (!minutes) return "UTC";
  const part = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(part / 60))}:${two(part % 60)}`;
}

/** The moment that an input of type datetime-local says, in the zone of the times that are shown;
 *  null where it is empty. */
export function parseMoment(text) {
  return text ? new Date(isUtc ? `${text}Z` : text) : null;
}

/** `12s`, `3m`, `2h 05m`, `4d`: how long, in two units at most. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}h ${two(minutes % 60)}m`;
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

/** A moment to the second, with its zone. */
export function local(moment) {
  return moment ? `${day(moment)} ${clock(moment)}` : "never";
}

/** Only the time of day, with its zone. */
export function clock(moment) {
  return `${time(moment)} ${zone(new Date(moment))}`;
}

/** A moment of a list whose heading names the zone. */
export function brief(moment) {
  return `${day(moment).slice(5)} ${time(moment)}`;
}

function day(moment) {
  const at = new Date(moment);
  if (isUtc) return at.toISOString().slice(0, 10);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

function time(moment) {
  const at = new Date(moment);
  if (isUtc) return at.toISOString().slice(11, 19);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}

/** Milliseconds with as many digits as say something. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
}
