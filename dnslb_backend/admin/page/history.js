// The transitions of the last hour: loaded at the start, then every event as it comes in.
//
// The daemon writes its history behind: what is loaded may lack the latest events of the stream,
// which are kept, and the strip of a member always ends with what is known of it now.

import { get } from "./api.js";
import { memberKey } from "./model.js";
import { now } from "./times.js";

/** Milliseconds that a timeline in the list shows. */
export const WINDOW = 3600 * 1000;

const ASKED = 2000;
const KEPT = 300;

export class History {
  constructor() {
    this.latest = [];
    this.byMember = new Map();
    this.from = Infinity;
    this.version = 0;
    this.loads = 0;
  }

  /** Load the transitions of this node within the window. */
  async load(node) {
    const report = await get("api/v1/history", { within: WINDOW / 1000, node, limit: ASKED, event: "transition" });
    const stored = report.events;
    const events = merged(stored, this.latest);
    this.byMember = new Map();
    for (let index = events.length - 1; index >= 0; index -= 1) this.keep(events[index]);
    this.latest = events.slice(0, KEPT);
    // Where the answer was full, what was before its oldest event is not known.
    this.from = report.before === null ? 0 : Date.parse(stored[stored.length - 1].at);
    this.version += 1;
    this.loads += 1;
  }

  add(event) {
    this.keep(event);
    this.latest.unshift(event);
    this.latest.length = Math.min(this.latest.length, KEPT);
    this.version += 1;
  }

  keep(event) {
    const key = memberKey(event);
    const known = this.byMember.get(key);
    if (!known) {
      this.byMember.set(key, [event]);
      return;
    }
    const newest = known[known.length - 1];
    if (newest.at === event.at && newest.to_health === event.to_health) return;
    known.push(event);
    const oldest = now() - WINDOW;
    while (known.length > 1 && Date.parse(known[1].at) < oldest) known.shift();
  }

  of(member) {
    return this.byMember.get(member.key) || [];
  }
}

/** Two lists of events as one, newest first, without what is in both. */
export function merged(stored, streamed) {
  const known = new Set(stored.map(identity));
  const missing = streamed.filter((event) => !known.has(identity(event)));
  if (!missing.length) return stored;
  return [...missing, ...stored].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
}

function identity(event) {
  const { at, to_health: health, to_served: served, to_priority: priority } = event;
  return [memberKey(event), Date.parse(at), health, served, priority].join(" ");
}

/** Stretches of health within [begin, end): `events` are of one member, oldest first.
 *
 *  Before the first event its member was what it changed from, if that is known, but nothing is
 *  known from before `known`. Since `since` it is what it is now, whatever the events say.
 */
export function stretches(events, member, begin, end, known = 0) {
  const found = [];
  const add = (from, to, health) => {
    const start = Math.max(from, begin);
    const stop = Math.min(to, end);
    if (stop > start) found.push({ start, stop, health });
  };
  if (member.fallback) return found;
  const newest = events[events.length - 1];
  const isBehind = !newest || newest.to_health !== member.effective;
  const since = member.since ? Date.parse(member.since) : Infinity;
  const turn = isBehind ? Math.min(Math.max(since, newest ? Date.parse(newest.at) : known), end) : end;
  if (events.length && (events[0].from_health !== "UNKNOWN" || events[0].from_served)) {
    add(known, Date.parse(events[0].at), events[0].from_health);
  }
  events.forEach((event, index) => {
    const until = index + 1 < events.length ? Date.parse(events[index + 1].at) : turn;
    add(Date.parse(event.at), until, event.to_health);
  });
  add(turn, end, member.effective);
  return found;
}
