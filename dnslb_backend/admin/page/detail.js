// One member, or one record, in full: its facts, its history, and its overrides.

import { get } from "./api.js";
import { memberKey } from "./model.js";
import { el, say, visible } from "./dom.js";
import { badge, shape } from "./icons.js";
import { overrideForm } from "./overrides.js";
import { answer } from "./rows.js";
import { timeline } from "./timeline.js";
import { age, duration, left, local, now } from "./times.js";

const WINDOWS = [
  ["1 hour", 3600],
  ["1 day", 86400],
  ["7 days", 7 * 86400],
];
const EVENTS = 500;

/** Everything about one member. `shared` are the parts of the page: model, explain, overridden, … */
export function memberView(key, member, shared) {
  const facts = el("dl", { class: "facts" });
  const head = el("div", { class: "state" });
  const why = el("p", { class: "reason" });
  const form = overrideForm(member, shared);
  const history = historyOf(member);
  const entry = () => shared.model.entries.get(key);
  const current = () => {
    const found = entry();
    return found && found.members.find((row) => row.key === member.key);
  };
  let seen = null;
  const refresh = () => {
    const row = current();
    if (!row) {
      head.replaceChildren(el("p", { class: "gone" }, "It is no longer a member."));
      return;
    }
    if (seen !== row || seen.effective !== row.effective || head.dataset.v !== String(entry().version)) {
      seen = row;
      head.dataset.v = String(entry().version);
      head.replaceChildren(badge(row), el("span", { class: "quiet" }, served(row)));
      say(why, visible(row.reason));
      form.refresh(row);
    }
    fillFacts(facts, memberFacts(row));
  };
  refresh();
  const explain = el(
    "button",
    { type: "button", on: { click: () => shared.explain(member.name, member.type) } },
    "Explain this name",
  );
  const node = el(
    "div",
    {},
    el("p", { class: "of" }, `${visible(member.name)} `, el("span", { class: "type" }, member.type)),
    head,
    why,
    member.fallback ? null : form.node,
    section("History", history.node),
    section("Facts", facts, explain),
  );
  history.load();
  return { title: visible(member.content), node, refresh, key: member.key };
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

function fillFacts(list, facts) {
  if (list.childElementCount !== facts.length * 2) {
    list.replaceChildren(...facts.flatMap(([name]) => [el("dt", {}, name), el("dd")]));
  }
  facts.forEach(([, text], index) => say(list.children[index * 2 + 1], visible(text)));
}

function section(title, ...children) {
  return el("section", {}, el("h3", {}, title), children);
}

/** The history of a member: a strip, and every transition in it. */
function historyOf(member) {
  const drawn = el("div", { class: "wide-strip" });
  const list = el("ol", { class: "events" });
  const message = el("p", { class: "quiet", role: "status" });
  const choice = el("select", { "aria-label": "How far back" });
  for (const [words, seconds] of WINDOWS) choice.append(el("option", { value: seconds }, words));
  const load = async () => {
    const seconds = Number(choice.value);
    say(message, "Loading …");
    try {
      const report = await get("api/v1/history", { name: member.name, within: seconds, limit: EVENTS, event: "transition" });
      const mine = report.events.filter((event) => memberKey(event) === member.key);
      show(mine, report, seconds);
    } catch (error) {
      say(message, `Cannot read the history: ${error.message}`);
    }
  };
  const show = (mine, report, seconds) => {
    const known = report.before === null ? 0 : Date.parse(report.events[report.events.length - 1].at);
    const own = mine.filter((event) => event.node === mine[0].node);
    drawn.replaceChildren(
      timeline([...own].reverse(), member, { end: now(), window: seconds * 1000, known }),
    );
    list.replaceChildren(...mine.slice(0, 100).map(eventRow));
    say(message, mine.length ? `${mine.length} changes, newest first` : "No changes in this time.");
  };
  choice.addEventListener("change", load);
  const node = el("div", {}, el("div", { class: "bar-line" }, choice, message), drawn, list);
  return { node, load };
}

/** One transition as a list item. */
export function eventRow(event) {
  const kind = event.to_health.toLowerCase();
  return el(
    "li",
    {},
    el("time", { datetime: event.at, title: local(event.at) }, local(event.at).slice(5)),
    el(
      "span",
      { class: "health", data: { kind } },
      shape(kind),
      el("span", {}, change(event)),
    ),
    el("span", { class: "why" }, visible(event.reason)),
  );
}

function change(event) {
  const words = event.from_health === event.to_health ? event.to_health : `${event.from_health} → ${event.to_health}`;
  if (event.from_served === event.to_served) return words;
  return `${words}, ${event.to_served ? "served" : "not served"}`;
}

/** Everything about one record. */
export function recordView(key, shared) {
  const entry = shared.model.entries.get(key);
  const { name, type } = entry.record;
  const facts = el("dl", { class: "facts" });
  const hosts = el("ul", { class: "hosts" });
  const members = el("ul", { class: "members" });
  let seen = null;
  const refresh = () => {
    const found = shared.model.entries.get(key);
    if (!found || seen === found.version) return;
    seen = found.version;
    const { record } = found;
    fillFacts(facts, [
      ["Service", record.summary],
      ["DNS answers", answer(record)],
      ["Serving priority", record.threshold === null ? "–" : `${record.threshold} and above`],
      ["TTL", `${record.ttl} s`],
      ["First check cycle", record.ready ? "has ended" : "has not ended"],
      ["Change held back", record.held ? "until the check cycle ends" : "no"],
    ]);
    hosts.replaceChildren(
      ...record.hosts.map((host) =>
        el("li", {}, visible(`${host.host}: ${host.addresses.join(", ") || "no address"}`),
          el("span", { class: "quiet" }, visible(` ${host.resolution || "not asked yet"} ${host.text}`))),
      ),
    );
    members.replaceChildren(...found.members.map((row) => memberItem(key, row, shared)));
  };
  refresh();
  const explain = el(
    "button",
    { type: "button", on: { click: () => shared.explain(name, type) } },
    "Explain this name",
  );
  const node = el(
    "div",
    {},
    section("Facts", facts, explain),
    section("Members", members),
    entry.record.hosts.length ? section("Host names", hosts) : null,
  );
  return { title: `${visible(name)} ${type}`, node, refresh, key };
}

function memberItem(key, row, shared) {
  return el(
    "li",
    {},
    el(
      "button",
      { type: "button", class: "plain", on: { click: () => shared.openMember(key, row) } },
      badge(row),
      el("span", { class: "rdata" }, visible(row.content)),
    ),
  );
}
