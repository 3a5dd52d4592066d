// The page: its parts, put together.

import { Refusal } from "./api.js";
import { Model } from "./model.js";
import { changesView } from "./changes.js";
import { memberView } from "./detail.js";
import { byId, el, say, visible } from "./dom.js";
import { explainView } from "./explain.js";
import { Fleet, fleetView } from "./fleet.js";
import { isNothing, labelOf, NOTHING, parse, render, WORDS } from "./filter.js";
import { followKeys } from "./keys.js";
import { List } from "./list.js";
import { Panel } from "./panel.js";
import { History } from "./history.js";
import { recordView } from "./record.js";
import { COLUMNS, COMPACT_COLUMNS, count } from "./rows.js";
import { allOverridesView, MOST, severalView } from "./several.js";
import { Summary } from "./summary.js";
import { Sync } from "./sync.js";
import { followTheme } from "./theme.js";
import { age, clock, followZone } from "./times.js";
import { TokenDialog } from "./token.js";

const model = new Model();
const transitions = new History();
const panel = new Panel();
let choice = parse(location.hash);

const list = new List(byId("list"), byId("rows"), {
  model,
  transitions,
  top: () => byId("pinned").getBoundingClientRect().bottom + byId("columns").offsetHeight,
  opened: (item) => (item.member ? openMember(item.entry.key, item.member) : openRecord(item.entry.key)),
});

// -- what is shown ---------------------------------------------------------------------------

let isDue = false;

/** Show the model as it is, once for all that came in with it. */
function changed() {
  if (isDue) return;
  isDue = true;
  // A hidden page gets no frames, and its title is still read.
  if (document.hidden) setTimeout(draw, 100);
  else requestAnimationFrame(draw);
}

function draw() {
  isDue = false;
  const counts = model.tally();
  const found = list.compose(choice);
  summary.count(counts);
  summary.press(choice.state);
  showFound(found, counts);
  showZones();
  showNode(counts);
  panel.refresh();
}

function showFound(found, counts) {
  const isAll = isNothing(choice);
  const words = `${count(found.members, "member")} in ${count(found.records, "record")}`;
  say(byId("found"), model.node ? (isAll ? words : `${words}, of ${counts.members.toLocaleString("en")}`) : "");
  byId("clear").disabled = isAll;
  byId("several").disabled = isAll || !found.members || found.members > MOST;
  const isEmpty = model.isWhole && !found.records;
  byId("nothing").hidden = !isEmpty;
  if (isEmpty) say(byId("nothing"), isAll ? "No balanced record is configured." : nothingWords());
}

function nothingWords() {
  if (choice.trouble && !choice.text && !choice.state) return "No problems. Press x to see everything.";
  const what = choice.state ? ` ${WORDS[choice.state]}` : "";
  return `Nothing${what} found. Press x to see everything.`;
}

let zonesShown = "";

function showZones() {
  const zones = model.zones();
  const joined = zones.join(" ");
  const select = byId("zone");
  if (joined !== zonesShown) {
    zonesShown = joined;
    select.replaceChildren(
      el("option", { value: "" }, "Every zone"),
      ...zones.map((zone) => el("option", { value: zone }, visible(zone))),
    );
  }
  if (select.value !== choice.zone) select.value = choice.zone;
}

function showNode(counts) {
  if (!model.node) return;
  const { node, version, started, details } = model.node;
  if (!fleet.report) fleet.expect(details.quorum);
  say(byId("node"), visible(node));
  say(byId("about"), `dnslb-backend ${version}, up ${age(started)}`);
  const bad = counts.down ? `(${counts.down} down) ` : "";
  document.title = `${bad}${visible(node)} – dnslb`;
}

setInterval(() => {
  if (document.hidden) return;
  list.tick();
  panel.refresh();
  if (model.node) say(byId("about"), `dnslb-backend ${model.node.version}, up ${age(model.node.started)}`);
}, 1000);

// -- the connection --------------------------------------------------------------------------

const fault = byId("fault");
let isAsked = false;
let lostAt = null;

function connection(state, error = null) {
  const link = byId("link");
  if (state === "live") {
    link.dataset.state = "live";
    say(byId("link-text"), "Live");
    document.documentElement.classList.remove("is-old");
    if (!fault.hidden) announce("The daemon answers again.");
    fault.hidden = true;
    isAsked = false;
    lostAt = null;
    return;
  }
  lostAt = lostAt || new Date().toISOString();
  if (error.isAboutToken) {
    link.dataset.state = "token";
    say(byId("link-text"), "Token needed");
    const why = `The daemon does not let this page read: ${visible(error.message)}.`;
    showFault(why, "Enter a token", () => askToken(why));
    if (!isAsked) askToken(why);
    isAsked = true;
  } else {
    link.dataset.state = "lost";
    say(byId("link-text"), "Not connected");
    const shown = model.isWhole ? ` Shown as of ${clock(lostAt)}.` : "";
    showFault(`${visible(error.message)}${shown} Retrying automatically.`, "Retry now", () => sync.again());
  }
  if (model.isWhole) document.documentElement.classList.add("is-old");
}

function showFault(words, action, act) {
  fault.hidden = false;
  say(byId("fault-text"), words);
  say(byId("fault-act"), action);
  byId("fault-act").onclick = act;
}

async function askToken(why) {
  await tokens.ask(why);
}

const tokens = new TokenDialog(() => sync.again());
byId("open-token").addEventListener("click", () => askToken(readOnly || "Changes need a token of role operate."));

/** Why nothing can be changed here, as the daemon says; "" where a token can. */
let readOnly = "";

function showParts(report) {
  readOnly = (report && report.read_only) || "";
  summary.parts(report);
  panel.refresh();
}

// -- announcements, for screen readers -----------------------------------------------------------

const ANNOUNCED = 3;

let pending = [];
let isWaiting = false;

function happened(event) {
  pending.push(event);
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(() => {
    isWaiting = false;
    const events = pending;
    pending = [];
    // The worst first, and no more than can be listened to.
    events.sort((one, other) => (other.to_health === "DOWN") - (one.to_health === "DOWN"));
    for (const event of events.slice(0, ANNOUNCED)) announce(sentence(event));
    if (events.length > ANNOUNCED) announce(`and ${events.length - ANNOUNCED} more changes`);
  }, 1000);
}

function sentence(event) {
  const is = event.to_health === event.from_health ? (event.to_served ? "is served" : "is not served") : `is ${event.to_health}`;
  return `${event.name} ${event.content} ${is}: ${event.reason}`;
}

function announce(words) {
  const log = byId("announcements");
  log.append(el("p", {}, visible(words)));
  while (log.childElementCount > 5) log.firstChild.remove();
}

// -- panels ------------------------------------------------------------------------------------

const shared = {
  model,
  transitions,
  explain: (asked) => panel.show(explainView(asked)),
  openMember,
  several: (members) => panel.show(severalView(members, "", shared)),
  search: (text) => choose({ ...NOTHING, text }),
  overridden: (names) => sync.ask(names),
  readOnly: () => readOnly,
  withToken: (attempt, why) => {
    // No token would be accepted.
    if (readOnly) throw new Refusal(0, readOnly);
    return tokens.with(attempt, why);
  },
};

function openMember(key, member) {
  const isShown = panel.shown && panel.shown.key === member.key;
  if (!isShown) panel.show(memberView(key, member, shared));
}

function openRecord(key) {
  panel.show(recordView(key, shared));
}

byId("open-explain").addEventListener("click", () => panel.show(explainView()));
byId("open-overrides").addEventListener("click", () => panel.show(allOverridesView(shared)));
byId("several").addEventListener("click", () => panel.show(severalView(list.members(), labelOf(choice), shared)));
byId("open-changes").addEventListener("click", () => panel.show(changesView(transitions, shared)));

// -- the filter --------------------------------------------------------------------------------

const fleet = new Fleet(byId("fleet"), () => panel.show(fleetView(fleet)));
const summary = new Summary((state) => choose({ state: choice.state === state ? "" : state }));

function choose(part) {
  choice = { ...choice, ...part };
  history.replaceState(null, "", `${location.pathname}${location.search}${render(choice)}`);
  showChoice();
  scrollToTop();
  changed();
}

/** A list that got shorter begins at its top. */
function scrollToTop() {
  const top = byId("pinned").offsetTop;
  if (scrollY > top) scrollTo(0, top);
}

function showColumns() {
  const columns = choice.compact ? COMPACT_COLUMNS : COLUMNS;
  byId("columns").classList.toggle("compact", choice.compact);
  byId("list").setAttribute("aria-colcount", String(columns.length));
  byId("columns").replaceChildren(
    ...columns.map(([name, words]) => el("span", { role: "columnheader", class: `cell ${name}` }, words)),
  );
}

function showChoice() {
  showColumns();
  if (byId("search").value !== choice.text) byId("search").value = choice.text;
  byId("trouble").checked = choice.trouble;
  byId("compact").checked = choice.compact;
  for (const input of byId("filters").elements.health) input.checked = input.value === choice.state;
}

byId("search").addEventListener("input", (event) => choose({ text: event.target.value }));
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Escape" || event.key === "ArrowDown") byId("list").focus({ preventScroll: true });
});
byId("trouble").addEventListener("change", (event) => choose({ trouble: event.target.checked }));
byId("compact").addEventListener("change", (event) => choose({ compact: event.target.checked }));
byId("zone").addEventListener("change", (event) => choose({ zone: event.target.value }));
byId("clear").addEventListener("click", () => choose(NOTHING));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
for (const input of byId("filters").elements.health) {
  input.addEventListener("change", () => choose({ state: input.value }));
}
addEventListener("hashchange", () => {
  choice = parse(location.hash);
  showChoice();
  changed();
});
showChoice();

// -- keys --------------------------------------------------------------------------------------

followTheme(byId("theme"));
followZone(byId("times"), () => {
  list.again();
  panel.refresh();
});
followKeys([
  { keys: ["/"], words: "search", does: () => byId("search").select() || byId("search").focus() },
  { keys: ["p"], words: "only problems, or everything", does: () => choose({ trouble: !choice.trouble }) },
  { keys: ["x"], words: "clear the filter", does: () => choose(NOTHING) },
  { keys: ["v"], words: "a line for each record, or its members too", does: () => choose({ compact: !choice.compact }) },
  { keys: ["o"], words: "overrides", does: () => byId("open-overrides").click() },
  { keys: ["e"], words: "explain an answer", does: () => byId("open-explain").click() },
  { keys: ["c"], words: "latest changes", does: () => byId("open-changes").click() },
  { keys: ["l"], words: "go to the list", does: () => byId("list").focus({ preventScroll: true }) },
  { keys: ["t"], words: "theme: system, light, dark", does: () => byId("theme").click() },
  { keys: ["u"], words: "times: UTC or local", does: () => byId("times").click() },
  { keys: ["?"], words: "these keys", does: () => byId("open-keys").click() },
  { keys: ["↑", "↓", "j", "k"], words: "in the list: from row to row" },
  { keys: ["Enter"], words: "in the list: open the row" },
  { keys: ["Esc"], words: "close the panel" },
]);

// -- go ----------------------------------------------------------------------------------------

const sync = new Sync(model, transitions, {
  changed,
  happened,
  state: connection,
  node: showParts,
  fleet: (report) => {
    fleet.update(report);
    panel.refresh();
  },
  inSight: () => [...list.entries(), model.entries.get(panel.shown?.record)].filter(Boolean),
});

addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof Refusal) event.preventDefault();
});

sync.run();
