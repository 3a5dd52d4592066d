// Which records and members are shown. The choice is in the URL, to be sent to others.

import { SERVICES } from "./model.js";

export const NOTHING = { text: "", state: "", zone: "", trouble: false };

const STATES = {
  up: (member) => member.effective === "UP",
  down: (member) => member.effective === "DOWN",
  unknown: (member) => member.effective === "UNKNOWN" && !member.fallback,
  override: (member) => Boolean(member.override),
  flapping: (member) => member.flapping,
  waiting: (member) => member.waiting,
  stale: (member) => member.stale,
};

const RECORDS = {
  "no-answer": isService,
  fallback: isService,
  "all-down": isService,
  panic: isService,
  servfail: isService,
  unresolved: (record) => record.hosts.some(isUnresolved),
};

export const WORDS = {
  up: "up",
  down: "down",
  unknown: "unknown",
  override: "overridden",
  flapping: "flapping",
  waiting: "waiting to return",
  stale: "stale",
  "no-answer": "with no answer",
  fallback: "on fallback",
  "all-down": "serving DOWN members",
  panic: "in panic",
  servfail: "answering SERVFAIL",
  unresolved: "not resolving",
};

/** The choice in the URL; what cannot be read is ignored. */
export function parse(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const state = given.get("state") || "";
  return {
    text: given.get("q") || "",
    state: state in WORDS ? state : "",
    zone: given.get("zone") || "",
    trouble: given.get("trouble") === "1",
  };
}

export function render(choice) {
  const given = new URLSearchParams();
  if (choice.text) given.set("q", choice.text);
  if (choice.state) given.set("state", choice.state);
  if (choice.zone) given.set("zone", choice.zone);
  if (choice.trouble) given.set("trouble", "1");
  const text = given.toString();
  return text ? `#${text}` : "";
}

export function isNothing(choice) {
  return !choice.text && !choice.state && !choice.zone && !choice.trouble;
}

/** Whether this member is a problem. */
export function isTroubled(member) {
  return (
    member.effective !== "UP" ||
    member.stale ||
    member.flapping ||
    member.waiting ||
    member.fallback ||
    Boolean(member.override) ||
    member.result_code === -3
  );
}

export function isRecordTroubled(record) {
  return record.service !== "serving" || record.held || record.hosts.some(isUnresolved);
}

function isService(record, state) {
  return SERVICES[record.service] === state;
}

export function isUnresolved(host) {
  return host.overdue || host.resolution === "failed" || host.resolution === "nxdomain";
}

/** The members of a record that are to be shown; null where not even the record is. */
export function chosen(entry, choice, words) {
  const { record, members } = entry;
  if (choice.zone && record.zone !== choice.zone) return null;
  let found = members;
  if (words.length) {
    const texts = textsOf(entry);
    if (!words.every((word) => texts.record.includes(word))) {
      found = found.filter((_, index) =>
        words.every((word) => texts.record.includes(word) || texts.members[index].includes(word)),
      );
      if (!found.length) return null;
    }
  }
  const isMeant = RECORDS[choice.state];
  if (isMeant && !isMeant(record, choice.state)) return null;
  const keeps = STATES[choice.state];
  if (keeps) {
    found = found.filter(keeps);
    if (!found.length) return null;
  }
  if (choice.trouble && !isRecordTroubled(record)) {
    found = found.filter(isTroubled);
    if (!found.length) return null;
  }
  return found;
}

/** The words of a search, in lower case: every one must be found. */
export function wordsOf(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean);
}

function textsOf(entry) {
  if (entry.words && entry.words.version === entry.version) return entry.words;
  const { record, members } = entry;
  entry.words = {
    version: entry.version,
    record: `${record.name} ${record.type}`.toLowerCase(),
    members: members.map((member) =>
      [
        member.content,
        member.address,
        member.dest,
        member.effective,
        member.reason,
        member.result_text,
        ...member.views,
        member.override ? `${member.override.action} ${member.override.author}` : "",
      ]
        .join(" ")
        .toLowerCase(),
    ),
  };
  return entry.words;
}
