// Which records and members are shown. The choice is in the URL, to be sent to others.

import { SERVICES } from "./model.js";
import { isRecordTroubled, isTroubled, isUnresolved } from "./severity.js";
import { globOf, isLabel, labelsOf } from "./targets.js";

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
    compact: given.get("compact") === "1",
  };
}

export function render(choice) {
  const given = new URLSearchParams();
  if (choice.text) given.set("q", choice.text);
  if (choice.state) given.set("state", choice.state);
  if (choice.zone) given.set("zone", choice.zone);
  if (choice.trouble) given.set("trouble", "1");
  if (choice.compact) given.set("compact", "1");
  const text = given.toString();
  return text ? `#${text}` : "";
}

export function isNothing(choice) {
  return !choice.text && !choice.state && !choice.zone && !choice.trouble;
}

function isService(record, state) {
  return SERVICES[record.service] === state;
}

/** The members of a record that are to be shown; null where not even the record is. */
export function chosen(entry, choice, words) {
  const { record, members } = entry;
  if (choice.zone && record.zone !== choice.zone) return null;
  let found = members;
  if (words.length) {
    const texts = textsOf(entry);
    if (!words.every((word) => word.isIn(texts.record))) {
      found = found.filter((member, index) =>
        words.every((word) => word.isIn(texts.record) || word.isIn(texts.members[index], member)),
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

/** The words of a search: every one must be found. One with a "=" is a label, or a glob over labels. */
export function wordsOf(text) {
  return text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => (isLabel(word) ? labelWord(word) : plainWord(word)));
}

function plainWord(word) {
  return { isIn: (text) => text.includes(word) };
}

function labelWord(word) {
  const glob = globOf(word);
  return { isIn: (_, member = null) => member !== null && labelsOf(member).some((label) => glob.test(label)) };
}

/** The label that a search consists of; "" where it does not. */
export function labelOf(choice) {
  const { text, state, zone, trouble } = choice;
  const word = text.trim().toLowerCase();
  return isLabel(word) && !/\s/.test(word) && !state && !zone && !trouble ? word : "";
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
