// The model: every record and member of the node, as last reported.

import { matcher } from "./targets.js";

/** What identifies a record, and a member within it. */
export function recordKey(row) {
  return `${row.zone} ${row.name} ${row.type}`;
}

export function memberKey(row) {
  return `${recordKey(row)} ${row.content}`;
}

const KINDS = { UP: "up", DOWN: "down", UNKNOWN: "unknown" };

const COUNTED = ["override", "flapping", "waiting", "stale"];

/** The services of a record that are counted, as the API names them, and how the page does. */
export const SERVICES = {
  "no answer": "no-answer",
  fallback: "fallback",
  "serving DOWN members": "all-down",
  panic: "panic",
  SERVFAIL: "servfail",
  // A record that is not decided yet is answered with SERVFAIL as well.
  pending: "servfail",
};

export class Model {
  constructor() {
    this.node = null;
    this.entries = new Map();
    this.order = [];
    this.version = 0;
    this.isWhole = false;
    this.overrides = [];
    this.pending = [];
  }

  /** All overrides of this node, in force or pending. */
  setOverrides(overrides) {
    this.overrides = overrides.map((override) => ({ ...override, isFor: matcher(override) }));
    this.pending = this.overrides.filter((override) => override.pending);
  }

  /** Those for one member: first what applies, then the others, the latest first. */
  overridesOf(member) {
    const applied = [member.override, member.weight_override].filter(Boolean);
    const ids = applied.map((override) => override.id);
    const found = this.overrides.filter((override) => override.isFor(member) && !ids.includes(override.id));
    const others = found.map((override) => ({ ...override, isLesser: !override.pending }));
    return [...applied, ...others.reverse()];
  }

  /** The override for a member that begins next, undefined where none is pending. */
  pendingOf(member) {
    const found = this.pending.filter((override) => override.isFor(member));
    return found.sort((one, other) => Date.parse(one.starts) - Date.parse(other.starts))[0];
  }

  /** A whole status begins. What was there stays until it has ended, unless there was nothing. */
  begin(head) {
    this.node = head;
    this.next = this.entries.size ? new Map() : this.entries;
    if (!this.entries.size) this.order = [];
  }

  add(line) {
    const key = recordKey(line.record);
    const entry = this.entry(key, line);
    if (this.next === this.entries && !this.entries.has(key)) this.order.push(entry);
    this.next.set(key, entry);
    this.version += 1;
  }

  finish() {
    this.entries = this.next;
    this.order = [...this.entries.values()];
    this.isWhole = true;
    this.version += 1;
  }

  /** Replace some records; those of `names` that did not come are gone. */
  patch(names, fresh) {
    const found = new Set();
    let isMoved = false;
    for (const line of fresh) {
      const key = recordKey(line.record);
      found.add(key);
      if (!this.entries.has(key)) isMoved = true;
      this.entries.set(key, this.entry(key, line));
    }
    const asked = new Set(names);
    for (const [key, entry] of this.entries) {
      if (asked.has(entry.record.name) && !found.has(key)) {
        this.entries.delete(key);
        isMoved = true;
      }
    }
    this.order = [...this.entries.values()];
    if (isMoved) this.order.sort(byPlace);
    this.version += 1;
  }

  /** Apply a transition to its member; returns that, or null where it is not shown. */
  apply(event) {
    const entry = this.entries.get(recordKey(event));
    const member = entry && entry.members.find((row) => row.content === event.content);
    if (!member) return null;
    member.effective = event.to_health;
    if (!member.override) {
      member.health = event.to_health;
      // Until the record is loaded again: flapping and waiting are not in the event.
      if (!member.fallback) member.state = event.to_health;
    }
    member.served = event.to_served;
    member.priority = event.to_priority;
    member.reason = event.reason;
    if (event.from_health !== event.to_health) member.since = event.at;
    entry.version += 1;
    this.version += 1;
    return member;
  }

  entry(key, line) {
    const before = this.entries.get(key);
    for (const member of line.members) member.key = `${key} ${member.content}`;
    return {
      key,
      record: line.record,
      members: line.members,
      at: performance.now(),
      version: before ? before.version + 1 : 0,
      words: null,
      rank: null,
    };
  }

  /** How many there are of each kind; while the first status comes in, what its head promised. */
  tally() {
    const found = { records: 0, members: 0, up: 0, down: 0, unknown: 0 };
    for (const kind of COUNTED) found[kind] = 0;
    for (const kind of Object.values(SERVICES)) found[kind] = 0;
    found.overdue = 0;
    for (const { record, members } of this.order) {
      found.records += 1;
      if (record.service in SERVICES) found[SERVICES[record.service]] += 1;
      if (record.hosts.some((host) => host.overdue)) found.overdue += 1;
      for (const member of members) {
        // Fallback addresses are no members.
        if (member.fallback) continue;
        found.members += 1;
        found[KINDS[member.effective]] += 1;
        for (const kind of COUNTED) if (member[kind]) found[kind] += 1;
      }
    }
    if (!this.isWhole && this.node) {
      for (const kind of ["records", "members", "up", "down", "unknown"]) {
        found[kind] = this.node[kind];
      }
    }
    return found;
  }

  zones() {
    return [...new Set(this.order.map((entry) => entry.record.zone))];
  }
}

function byPlace(one, other) {
  for (const field of ["zone", "name", "type"]) {
    if (one.record[field] !== other.record[field]) {
      return one.record[field] < other.record[field] ? -1 : 1;
    }
  }
  return 0;
}
