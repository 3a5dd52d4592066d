// The rows of the list: a zone, a record, a member. Each is filled again when it has changed.

import { cutInside, el, say, visible } from "./dom.js";
import { badge, kindOf, shape } from "./icons.js";
import { FINE, isTroubled, isUnresolved, OVERRIDDEN, severity } from "./severity.js";
import { timeline } from "./timeline.js";
import { WINDOW } from "./history.js";
import { age, duration, left, local, now } from "./times.js";

/** The columns of the list where members are shown. */
export const COLUMNS = [
  ["state", "State"],
  ["content", "Member"],
  ["served", "Served"],
  ["priority", "Prio"],
  ["weight", "Weight"],
  ["since", "Since"],
  ["why", "Why"],
  ["checked", "Last check"],
  ["history", "Last hour"],
];

/** Those where each record is one line. */
export const COMPACT_COLUMNS = [
  ["name", "Record"],
  ["decision", "Service"],
  ["marks", "Members"],
  ["answer", "DNS answers"],
  ["ttl", "TTL"],
];

/** So many members of a record have a mark in one line. */
const MOST_MARKS = 12;

/** By the service of a record, as the API names it; any other is a failure. */
const MOODS = { serving: "good", fallback: "warn", panic: "warn", pending: "warn" };

function cell(name, ...children) {
  return el("span", { role: "gridcell", class: `cell ${name}` }, children);
}

/** The heading of a zone, or of records whose state is as serious. */
export function fillHeading(row, item) {
  const { word, title, records, members, down } = item;
  row.className = `row zone${word ? "" : " serious"}`;
  row.replaceChildren(
    el(
      "span",
      { role: "rowheader", class: "cell", "aria-colspan": COLUMNS.length },
      word ? el("span", { class: "kind" }, word) : null,
      " ",
      el("strong", {}, visible(title)),
      " ",
      down ? el("span", { class: "tag bad" }, `${down} down`) : null,
      el("span", { class: "quiet" }, `${count(records, "record")}, ${count(members, "member")}`),
    ),
  );
  return () => {};
}

export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

export function fillRecord(row, item) {
  const { record } = item.entry;
  row.className = `row record${item.members ? " compact" : ""}`;
  row.replaceChildren(
    el(
      "span",
      { role: "rowheader", class: "cell name" },
      el("strong", { title: record.name }, visible(record.name)),
      el("span", { class: "type" }, record.type),
    ),
    cell(
      "decision",
      el("span", { class: `tag ${mood(item.entry)}` }, record.service),
      el("span", { class: "quiet" }, `${record.members_served} of ${record.members_total}`, el("span", { class: "word" }, " served")),
    ),
    ...(item.members ? [marks(item.members)] : []),
    cell(
      "answer",
      hints(record),
      el("span", { class: "quiet" }, record.varies ? "DNS answers some of " : "DNS answers "),
      el("span", { class: "rdata" }, visible(answer(record))),
    ),
    cell("ttl", `ttl ${record.ttl} s`),
  );
  return () => {};
}

/** Serving while some members are not well, or overridden, is no plain green. */
function mood(entry) {
  const rank = severity(entry);
  if (entry.record.service !== "serving" || rank === FINE) return MOODS[entry.record.service] || "bad";
  return rank === OVERRIDDEN ? "hold" : "less";
}

/** The members of a record in one line, a mark each. */
function marks(members) {
  const shown = members.length > MOST_MARKS ? [...members].sort((one, other) => isTroubled(other) - isTroubled(one)) : members;
  const states = new Map();
  for (const { state } of members) states.set(state, (states.get(state) || 0) + 1);
  const words = [...states].map(([state, number]) => `${number} ${state}`).join(", ");
  return el(
    "span",
    { role: "gridcell", class: "cell marks", "aria-label": words },
    shown.slice(0, MOST_MARKS).map((member) =>
      el(
        "span",
        { class: member.served || kindOf(member) !== "up" ? "" : "idle", title: `${visible(member.content)}: ${member.state}, ${visible(member.reason)}` },
        shape(kindOf(member)),
      ),
    ),
    shown.length > MOST_MARKS ? el("span", { class: "quiet" }, `+${shown.length - MOST_MARKS}`) : null,
  );
}

/** What DNS answers now, in words. */
export function answer(record) {
  if (record.answer === null) return "SERVFAIL";
  return record.answer.length ? record.answer.join("  ") : "NODATA";
}

function hints(record) {
  const found = [];
  if (record.held) found.push(el("span", { class: "tag warn" }, "a change waits for the check cycle"));
  for (const host of record.hosts.filter(isUnresolved)) {
    const why = host.text || host.resolution;
    found.push(el("span", { class: "tag warn" }, visible(`${host.host} does not resolve: ${why}`)));
  }
  return found;
}

/** Fills the row of a member, and returns what keeps its ages true. `pending` is the override that
 *  begins next, if there is one. */
export function fillMember(row, item, transitions, pending) {
  const { member } = item;
  const { override } = member;
  row.className = `row member${member.served ? "" : " idle"}`;
  row.dataset.kind = kindOf(member);
  const since = el("span", { title: local(member.since) });
  const checked = el("span", { title: local(member.last_check) });
  const ends = override && override.expires ? el("span", { class: "tag hold" }) : null;
  const begins = pending && !override ? el("span", { class: "tag hold pending", title: scheduled(pending) }) : null;
  const tick = () => {
    say(since, age(member.since));
    say(checked, member.last_check ? `${age(member.last_check)} ago` : "never");
    if (ends) say(ends, `${left(override.expires)} left`);
    if (begins) say(begins, `${actionOf(pending)} in ${left(pending.starts)}`);
  };
  tick();
  row.replaceChildren(
    cell("state", badge(member)),
    content(member),
    cell("served", member.served ? el("span", { class: "yes" }, "served") : el("span", { class: "quiet" }, "–")),
    cell("priority", priority(member)),
    cell("weight", weight(member)),
    cell("since", since),
    cell("why", ends, begins, why(member)),
    cell(
      "checked",
      checked,
      el("span", { class: "quiet took" }, duration(member.duration_ms)),
    ),
    cell("history", timeline(transitions.of(member), member, { end: now(), window: WINDOW, known: transitions.from })),
  );
  return tick;
}

function content(member) {
  const node = cell("content", cutInside(member.content, { class: "rdata" }), views(member), destination(member));
  const parts = [member.content, ...member.views, member.dest === member.content ? "" : member.dest];
  node.setAttribute("aria-label", visible(parts.filter(Boolean).join(" ")));
  return node;
}

/** After a failed check the one that is configured, and none for a fallback. */
function priority(member) {
  if (member.fallback) return "–";
  if (member.priority !== null) return String(member.priority);
  return el("span", { class: "quiet" }, String(member.configured_priority));
}

function weight(member) {
  const { weight_override: override } = member;
  if (!override) return String(member.weight);
  const by = override.author ? ` by ${override.author}` : "";
  return el("span", { class: "ordered", title: visible(`override${by}, configured is ${member.configured_weight}`) }, String(member.weight));
}

/** Why it is served, or is not. That it is overridden, and by what, its state says. */
function why(member) {
  const { override } = member;
  const full = visible(member.reason);
  if (!override) return el("span", { class: "reason", title: full }, full);
  return [
    member.health === member.effective ? null : el("span", { class: "tag bad" }, `measured ${member.health}`),
    el("span", { class: "reason", title: full }, visible(override.reason)),
    el("span", { class: "quiet author" }, visible(override.author ? ` by ${override.author}` : "")),
  ];
}

/** `drain`, `weight 20`. */
export function actionOf(override) {
  return override.action === "weight" ? `weight ${override.weight}` : override.action;
}

/** An override that begins later, as a sentence. */
export function scheduled(override) {
  const by = override.author ? ` by ${override.author}` : "";
  const end = override.expires ? ` until ${local(override.expires)}` : " until cleared";
  return visible(`${actionOf(override)}${by} from ${local(override.starts)}${end}${override.reason ? `: ${override.reason}` : ""}`);
}

function views(member) {
  if (!member.views.length) return null;
  return el("span", { class: "views" }, member.views.map((view) => el("span", { class: "tag view" }, visible(view))));
}

/** Whence it came, where its content alone does not say so. */
function destination(member) {
  if (!member.dest || member.dest === member.content) return null;
  return cutInside(member.dest, { class: "quiet dest" });
}
