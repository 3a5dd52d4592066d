// The nodes that decide together: a strip of them, a panel with all that is known of each, and the
// votes on one member. Only where there is [quorum].

import { el, say, svg, visible } from "./dom.js";
import { shape } from "./icons.js";
import { age, local, span } from "./times.js";

/** So many nodes have a place in the strip; those whose votes do not count come first. */
const MOST = 24;

export class Fleet {
  /** `box` is the strip; `pressed()` is called when it is. */
  constructor(box, pressed) {
    this.box = box;
    this.words = el("span", { class: "part" });
    this.targets = el("span", { class: "quiet" });
    this.nodes = el("span", { class: "nodes" });
    this.report = null;
    this.shown = "";
    const title = el("span", { class: "title" }, "Fleet");
    box.append(el("button", { type: "button", title: "All nodes and their votes", on: { click: pressed } }, title, this.words, this.targets, this.nodes));
  }

  /** Have its place kept from the first moment, or taken by nothing. */
  expect(isThere) {
    this.box.hidden = !isThere;
  }

  /** The report of /api/v1/nodes. */
  update(report) {
    this.report = report;
    this.expect(report.quorum);
    const [mood, words] = stateOf(report);
    this.words.className = `part ${mood}`;
    say(this.words, words);
    say(this.targets, targetsOf(report));
    const key = JSON.stringify(report.nodes.map(({ node, counts, why_not: why }) => [node, counts, short(why)]));
    if (key === this.shown) return;
    this.shown = key;
    const sorted = [...report.nodes].sort((one, other) => one.counts - other.counts);
    const more = sorted.length > MOST ? el("span", { class: "quiet" }, `and ${sorted.length - MOST} more`) : null;
    this.nodes.replaceChildren(...sorted.slice(0, MOST).map(chip), more || "");
  }
}

/** Whether this node decides with others: a mood of the parts of a node, and words. */
export function stateOf({ nodes, targets, votes }) {
  const voting = nodes.filter((row) => row.counts).length;
  const of = `${voting} of ${votes ? nodes.length : nodes.length - 1} vote`;
  if (targets.own) return ["bad", `${of}, decides alone`];
  if (targets.held) return ["bad", `${of}, held`];
  return [voting < (votes ? nodes.length : nodes.length - 1) ? "caution" : "good", `${of}, in quorum`];
}

/** `12 agreed, 3 held`: targets by what their health rests on. */
function targetsOf({ targets }) {
  const found = Object.entries(targets).filter(([, number]) => number);
  if (!found.length) return "no target is voted on";
  return `targets: ${found.map(([basis, number]) => `${number.toLocaleString("en")} ${BASES[basis]}`).join(", ")}`;
}

const BASES = { agreed: "agreed", held: "held", own: "by this node alone" };

/** A reason without its seconds: these go on. */
function short(why) {
  return why.replace(/ for \d+ s$/, "");
}

function chip(row) {
  const mood = kindOf(row);
  return el("span", { class: `chip ${mood}` }, shape(mood), el("span", { class: "name" }, visible(row.node)), row.counts ? null : el("span", { class: "why" }, visible(short(row.why_not))));
}

/** The mark of a node: one that only follows, or is only starting, is no fault. */
function kindOf(row) {
  if (row.counts) return "up";
  return row.this || row.why_not === "starting" ? "unknown" : "down";
}

/** All nodes in the panel. */
export function fleetView(fleet) {
  const head = el("p", {});
  const quiet = el("p", { class: "quiet" });
  const list = el("ul", { class: "fleet-list" });
  let seen = null;
  const refresh = () => {
    const { report } = fleet;
    if (!report || seen === report) return;
    seen = report;
    const [mood, words] = stateOf(report);
    head.className = `part ${mood}`;
    say(head, words);
    say(quiet, `As ${visible(report.node)} sees it; ${targetsOf(report)}.`);
    list.replaceChildren(...report.nodes.map(nodeItem));
  };
  refresh();
  return { title: "Fleet", node: el("div", {}, head, quiet, list), refresh };
}

function nodeItem(row) {
  const seen = row.this ? "this node" : row.age === null ? "never seen" : `seen ${span(row.age * 1000)} ago`;
  const tags = [
    row.counts ? null : el("span", { class: "tag bad" }, visible(row.why_not)),
    row.outvoted ? el("span", { class: "tag warn" }, `outvoted on ${row.outvoted.toLocaleString("en")}`) : null,
    row.alike ? null : el("span", { class: "tag warn", title: "Its records or checks differ from those of this node." }, "asks other questions"),
  ];
  return el(
    "li",
    {},
    shape(kindOf(row)),
    el("strong", {}, visible(row.node)),
    el("span", { class: "quiet" }, visible(row.site === row.node ? seen : `site ${row.site}, ${seen}`)),
    el("span", { class: "tally" }, balance(row.up, row.down), `${row.up.toLocaleString("en")} UP, ${row.down.toLocaleString("en")} DOWN`),
    el("p", {}, tags),
  );
}

/** A bar: the share of votes for UP and for DOWN. */
function balance(up, down) {
  const total = Math.max(up + down, 1);
  const wide = down ? Math.max((down / total) * 100, 2) : 0;
  return svg(
    "svg",
    { class: "shares", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "up", x: 0, y: 0, width: up ? 100 - wide : 0, height: 6 }),
    svg("rect", { class: "down", x: 100 - wide, y: 0, width: wide, height: 6 }),
  );
}

const RESTS = {
  agreed: "Decided by votes",
  held: "Too few nodes vote: what was agreed last still counts",
  own: "Too few nodes vote: this node decides alone",
};

/** Who says what of a member, below its state; hidden where there are no votes on it. */
export function votesPart() {
  const head = el("p", {});
  const list = el("ul", { class: "votes" });
  const node = el("section", { hidden: true }, el("h3", {}, "Votes"), head, list);
  let by = null;
  let shown = "";
  const refresh = ({ votes, health }) => {
    node.hidden = !votes;
    if (!votes) return;
    // A status of everything leaves them out, until this record is asked for again.
    by = votes.by || by || [];
    const own = votes.own === health ? "" : `; this node measured ${votes.own} and is outvoted`;
    say(head, `${RESTS[votes.basis]}. Sites: ${votes.up} UP, ${votes.down} DOWN${own}.`);
    const key = JSON.stringify(by);
    if (key !== shown) list.replaceChildren(...by.map(voteItem));
    shown = key;
    by.forEach((vote, index) => say(list.children[index].querySelector("time"), age(vote.since)));
  };
  return { node, refresh };
}

function voteItem(vote) {
  const kind = vote.says === "UP" ? "up" : "down";
  const where = vote.site === vote.node ? "" : ` (${vote.site})`;
  return el(
    "li",
    { class: vote.counts ? "" : "idle" },
    el("span", { class: "health", data: { kind } }, shape(kind), el("span", {}, vote.says)),
    el("span", {}, el("strong", {}, visible(vote.node)), el("span", { class: "quiet" }, visible(where))),
    el("time", { title: local(vote.since) }),
    el("p", {}, visible(vote.text || `code ${vote.code}`)),
    vote.counts ? null : el("p", {}, el("span", { class: "tag bad" }, visible(`does not count: ${vote.why_not}`))),
  );
}
