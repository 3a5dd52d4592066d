// One member in full: its facts, its history, and its overrides.

import { get } from "./api.js";
import { memberKey } from "./model.js";
import { el, say, visible } from "./dom.js";
import { eventRow } from "./events.js";
import { votesPart } from "./fleet.js";
import { merged } from "./history.js";
import { badge } from "./icons.js";
import { memberOverrides } from "./overrides.js";
import { probePart } from "./probe.js";
import { labelsOf } from "./targets.js";
import { timeline } from "./timeline.js";
import { age, duration, left, local, now, zone } from "./times.js";

const WINDOWS = [
  ["1 hour", 3600],
  ["1 day", 86400],
  ["7 days", 7 * 86400],
];
const EVENTS = 500;
// Milliseconds after which a strip is drawn again.
const STEP = 2000;

/** Everything about one member. `shared` are the parts of the page: model, explain, overridden, … */
export function memberView(key, member, shared) {
  const facts = el("dl", { class: "facts" });
  const head = el("div", { class: "state" });
  const why = el("p", { class: "reason" });
  const overrides = memberOverrides(shared.model.entries.get(key)?.record, member, shared);
  const history = historyOf(member, shared);
  const votes = votesPart();
  const current = () => {
    const entry = shared.model.entries.get(key);
    const row = entry && entry.members.find((each) => each.key === member.key);
    return row ? { row, version: `${entry.version}` } : null;
  };
  let seen = null;
  const refresh = () => {
    const found = current();
    if (!found) {
      head.replaceChildren(el("p", { class: "gone" }, "It is no longer a member."));
      return;
    }
    const { row, version } = found;
    if (seen !== version) {
      seen = version;
      head.replaceChildren(badge(row), el("span", { class: "quiet" }, served(row)));
      say(why, visible(row.reason));
      votes.refresh(row);
    }
    overrides.refresh(row);
    history.refresh(row);
    fillFacts(facts, memberFacts(row));
  };
  refresh();
  const { name, type, address } = member;
  const button = (words, asked) => el("button", { type: "button", on: { click: () => shared.explain({ name, type, ...asked }) } }, words);
  const isOf = (probe) => probe.contents.includes(member.content);
  const node = el(
    "div",
    {},
    el("p", { class: "of" }, `${visible(name)} `, el("span", { class: "type" }, type)),
    head,
    why,
    member.fallback ? null : overrides.node,
    votes.node,
    section("History", history.node),
    member.fallback ? null : section("Check now", probePart(member, shared, isOf)),
    section("Facts", facts, labelList(member, shared)),
    el(
      "div",
      { class: "bar-line" },
      button("Explain this name", {}),
      member.fallback ? null : button("What if it were down?", { down: address }),
    ),
  );
  history.load();
  return { title: visible(member.content), node, refresh, key: member.key, record: key };
}

/** The labels of a member; one that is pressed shows all that have it. */
function labelList(member, shared) {
  const labels = labelsOf(member);
  if (!labels.length) return null;
  const chip = (label) =>
    el("button", { type: "button", class: "label", title: "Show all with this label", on: { click: () => shared.search(label) } }, visible(label));
  return el("div", { class: "labels", role: "group", "aria-label": "Labels" }, labels.map(chip));
}

function served(row) {
  if (row.fallback) return "served unchecked, in place of the members";
  return row.served ? "is in the answer" : "is not in the answer";
}

function memberFacts(row) {
  const { override } = row;
  return [
    ["Measured", row.health],
    ["Effective", row.effective],
    ["Since", row.since ? `${age(row.since)}, ${local(row.since)}` : "–"],
    ["Last check", row.last_check ? `${age(row.last_check)} ago, took ${duration(row.duration_ms)}` : "never"],
    ["Result", row.result_code === null ? "–" : `${row.result_text || "–"} (code ${row.result_code})`],
    ["Last up", row.last_up ? `${age(row.last_up)} ago` : "never"],
    ["Priority, weight", `${row.priority === null ? "–" : row.priority}, ${row.weight}`],
    ["Probed", row.address],
    ["Destination", row.dest || "–"],
    ["Views", row.views.length ? row.views.join(", ") : "all clients"],
    ["Override", override ? `${override.action} by ${override.author || "unknown"}${until(override)}` : "none"],
  ];
}

function until(override) {
  return override.expires ? `, ${left(override.expires)} left` : ", until cleared";
}

/** Set the facts of a list: [name, text]. */
export function fillFacts(list, facts) {
  if (list.childElementCount !== facts.length * 2) {
    list.replaceChildren(...facts.flatMap(([name]) => [el("dt", {}, name), el("dd")]));
  }
  facts.forEach(([, text], index) => say(list.children[index * 2 + 1], visible(text)));
}

export function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), children);
}

/** The history of a member: a strip, and every transition in it, also those that happen meanwhile. */
function historyOf(member, shared) {
  const drawn = el("div", { class: "wide-strip" });
  const list = el("ol", { class: "events" });
  const message = el("p", { class: "quiet", role: "status" });
  const choice = el("select", { "aria-label": "How far back" });
  for (const [words, seconds] of WINDOWS) choice.append(el("option", { value: seconds }, words));
  let stored = null;
  let listed = "";
  let strip = "";
  let latest = member;
  const load = async () => {
    const seconds = Number(choice.value);
    say(message, "Loading …");
    try {
      const report = await get("api/v1/history", { name: member.name, within: seconds, limit: EVENTS, event: "transition" });
      const known = report.before === null ? 0 : Date.parse(report.events[report.events.length - 1].at);
      stored = { known, seconds, events: report.events.filter((event) => memberKey(event) === member.key) };
      listed = strip = "";
      refresh(latest);
    } catch (error) {
      say(message, `Cannot read the history: ${error.message}`);
    }
  };
  const refresh = (row) => {
    latest = row;
    if (!stored) return;
    const happened = shared.transitions.of(member);
    const newest = happened.length ? happened[happened.length - 1].at : "";
    const key = `${happened.length} ${newest} ${zone()}`;
    // Time goes on in the strip, and not in the list.
    const moment = `${key} ${row.effective} ${Math.floor(now() / STEP)}`;
    if (moment === strip) return;
    const events = merged(stored.events, since(happened, now() - stored.seconds * 1000));
    strip = moment;
    draw(events);
    if (key === listed) return;
    listed = key;
    list.replaceChildren(...events.slice(0, 100).map(eventRow));
    const changes = `${events.length} change${events.length === 1 ? "" : "s"}`;
    say(message, events.length ? `${changes}, newest first, times in ${zone()}` : "No changes in this time.");
  };
  const draw = (events) => {
    const { node } = shared.model.node;
    const own = events.filter((event) => !event.node || event.node === node).reverse();
    const window = stored.seconds * 1000;
    drawn.replaceChildren(timeline(own, latest, { end: now(), window, known: stored.known }));
  };
  choice.addEventListener("change", load);
  const node = el("div", {}, el("div", { class: "bar-line" }, choice, message), drawn, list);
  return { node, load, refresh };
}

function since(events, begin) {
  return events.filter((event) => Date.parse(event.at) >= begin);
}
