// The rows of the list: a zone, a record, a member. Each is filled again when it has changed.

import { el, say, visible } from "./dom.js";
import { isUnresolved } from "./filter.js";
import { badge, kindOf } from "./icons.js";
import { timeline } from "./timeline.js";
import { WINDOW } from "./history.js";
import { age, duration, left, local, now } from "./times.js";

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

/** By the service of a record, as the API names it; any other is a failure. */
const MOODS = { serving: "good", fallback: "warn", panic: "warn", pending: "warn" };

function cell(name, ...children) {
  return el("span", { role: "gridcell", class: `cell ${name}` }, children);
}

export function fillZone(row, item) {
  const { zone, records, members, down } = item;
  row.className = "row zone";
  row.replaceChildren(
    el(
      "span",
      { role: "rowheader", class: "cell", "aria-colspan": COLUMNS.length },
      el("span", { class: "kind" }, "Zone"),
      " ",
      el("strong", {}, visible(zone)),
      " ",
      el("span", { class: "quiet" }, `${count(records, "record")}, ${count(members, "member")}`),
      down ? el("span", { class: "tag bad" }, `${down} down`) : null,
    ),
  );
  return () => {};
}

export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

export function fillRecord(row, item) {
  const { record } = item.entry;
  row.className = "row record";
  row.replaceChildren(
    el(
      "span",
      { role: "rowheader", class: "cell name" },
      el("strong", { title: record.name }, visible(record.name)),
      el("span", { class: "type" }, record.type),
    ),
    cell(
      "decision",
      el("span", { class: `tag ${MOODS[record.service] || "bad"}` }, record.service),
      el("span", { class: "quiet" }, `${record.members_served} of ${record.members_total} served`),
    ),
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

/** Fills the row of a member, and returns what keeps its ages true. */
export function fillMember(row, item, transitions) {
  const { member } = item;
  row.className = `row member${member.served ? "" : " idle"}`;
  row.dataset.kind = kindOf(member);
  const since = el("span", { title: local(member.since) });
  const checked = el("span", { title: local(member.last_check) });
  const ends = member.override && member.override.expires ? el("span") : null;
  const tick = () => {
    say(since, age(member.since));
    say(checked, member.last_check ? `${age(member.last_check)} ago` : "never");
    if (ends) say(ends, `${left(member.override.expires)} left`);
  };
  tick();
  row.replaceChildren(
    cell("state", badge(member)),
    cell("content", el("span", { class: "rdata" }, visible(member.content)), aside(member)),
    cell("served", member.served ? el("span", { class: "yes" }, "served") : el("span", { class: "quiet" }, "–")),
    cell("priority", member.priority === null ? "–" : String(member.priority)),
    cell("weight", String(member.weight)),
    cell("since", since),
    cell(
      "why",
      ends ? el("span", { class: "tag hold" }, ends) : null,
      el("span", { class: "reason", title: visible(member.reason) }, visible(member.reason)),
    ),
    cell(
      "checked",
      checked,
      el("span", { class: "quiet took" }, duration(member.duration_ms)),
    ),
    cell("history", timeline(transitions.of(member), member, { end: now(), window: WINDOW, known: transitions.from })),
  );
  return tick;
}

/** What the content alone does not say: whence it came, and for whom it is. */
function aside(member) {
  const found = member.views.map((view) => el("span", { class: "tag view" }, visible(view)));
  if (member.dest && member.dest !== member.content) {
    found.push(el("span", { class: "quiet dest" }, visible(member.dest)));
  }
  return found;
}
