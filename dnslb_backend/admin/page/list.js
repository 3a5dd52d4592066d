// The list: tens of thousands of rows, of which only those in sight exist.
//
// Every row has its place from the start, by the height of its kind; nothing that comes in later
// moves what is there. The page scrolls as a whole, the list is one tall box in it.

import { el } from "./dom.js";
import { chosen, wordsOf } from "./filter.js";
import { fillHeading, fillMember, fillRecord } from "./rows.js";
import { FINE, HEADINGS, severity } from "./severity.js";

const WIDE = { heading: 40, record: 46, member: 36, compact: 36 };
const NARROW = { heading: 40, record: 78, member: 66, compact: 40 };
const SPARE = 300;

export class List {
  /** `grid` has the focus, `box` holds the rows; `top` says how many pixels of the window others
   *  cover above them, and `opened` is called with the item that is pressed. */
  constructor(grid, box, { model, transitions, top, opened }) {
    this.grid = grid;
    this.box = box;
    this.model = model;
    this.transitions = transitions;
    this.covered = top;
    this.opened = opened;
    this.items = [];
    this.chosen = [];
    this.places = new Map();
    this.rows = new Map();
    this.active = null;
    this.narrow = matchMedia("(max-width: 680px)");
    this.narrow.addEventListener("change", () => this.measure());
    addEventListener("scroll", () => this.paint(), { passive: true });
    addEventListener("resize", () => this.paint(), { passive: true });
    box.addEventListener("click", (event) => this.clicked(event));
    grid.addEventListener("keydown", (event) => this.pressed(event));
    grid.addEventListener("focus", () => this.activate(this.active || this.firstInSight()));
  }

  /** Make the list of what is chosen, the worst first, and what is fine by zone; returns how many
   *  records and members that are. */
  compose(choice) {
    const words = wordsOf(choice.text);
    const serious = HEADINGS.map((title, rank) => heading(`s ${rank}`, { word: "", title }));
    const fine = [];
    const found = { records: 0, members: 0 };
    let zone = null;
    for (const entry of this.model.order) {
      const members = chosen(entry, choice, words);
      if (!members) continue;
      const rank = severity(entry);
      if (rank === FINE && (!zone || zone.title !== entry.record.zone)) {
        zone = heading(`z ${entry.record.zone}`, { word: "Zone", title: entry.record.zone });
        fine.push(zone);
      }
      put(rank === FINE ? zone : serious[rank], entry, members, choice.compact);
    }
    const headings = [...serious.filter((each) => each.records), ...fine];
    this.chosen = headings;
    this.items = [];
    for (const each of headings) {
      this.items.push(each);
      for (const row of each.rows) this.items.push(row);
      found.records += each.records;
      found.members += each.members;
    }
    this.measure();
    return found;
  }

  measure() {
    const heights = this.narrow.matches ? NARROW : WIDE;
    let top = 0;
    this.places = new Map();
    this.items.forEach((item, index) => {
      item.top = top;
      item.height = item.kind === "record" && item.members ? heights.compact : heights[item.kind];
      top += item.height;
      this.places.set(item.key, index);
    });
    this.box.style.height = `${top}px`;
    this.grid.setAttribute("aria-rowcount", String(this.items.length + 1));
    if (this.active !== null && !this.places.has(this.active)) this.activate(null);
    this.paint();
  }

  /** The keys of what is in sight, with some above and below. */
  sight() {
    const begin = -this.box.getBoundingClientRect().top - SPARE;
    const end = begin + innerHeight + 2 * SPARE;
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].top + this.items[middle].height <= begin) low = middle + 1;
      else high = middle;
    }
    const found = [];
    for (let i = low; i < this.items.length && this.items[i].top < end; i += 1) found.push(i);
    return found;
  }

  paint() {
    const kept = new Map();
    let before = null;
    for (const index of this.sight()) {
      const item = this.items[index];
      const row = this.rows.get(item.key) || this.make(item);
      this.rows.delete(item.key);
      kept.set(item.key, row);
      this.place(row, item, index);
      // In the order in which they are read.
      if (row.node.parentNode !== this.box || row.node.previousSibling !== before) {
        if (before) before.after(row.node);
        else this.box.prepend(row.node);
      }
      before = row.node;
    }
    for (const row of this.rows.values()) row.node.remove();
    this.rows = kept;
  }

  make(item) {
    const node = el("div", { role: "row", data: { key: item.key } });
    node.id = `row-${(this.made = (this.made || 0) + 1)}`;
    return { node, version: null, top: null, tick: () => {} };
  }

  place(row, item, index) {
    if (row.top !== item.top || row.height !== item.height) {
      row.node.style.transform = `translateY(${item.top}px)`;
      row.node.style.height = `${item.height}px`;
      row.top = item.top;
      row.height = item.height;
    }
    row.node.setAttribute("aria-rowindex", String(index + 2));
    const version = this.versionOf(item);
    if (row.version === version) return;
    const isNew = row.version === null;
    row.version = version;
    if (item.kind === "heading") row.tick = fillHeading(row.node, item);
    else if (item.kind === "record") row.tick = fillRecord(row.node, item);
    else row.tick = fillMember(row.node, item, this.transitions, this.model.pendingOf(item.member));
    if (item.kind === "member") {
      const { effective, served } = item.member;
      const state = `${effective} ${served}`;
      if (!isNew && row.state !== state) this.flash(row.node);
      row.state = state;
    }
    this.markActive(item.key, row.node);
  }

  versionOf(item) {
    if (item.kind === "heading") return `${item.records} ${item.members} ${item.down}`;
    if (item.kind === "record") return `${item.entry.version} ${item.entry.at} ${item.members ? "compact" : ""}`;
    return `${item.entry.version} ${item.entry.at} ${this.transitions.of(item.member).length} ${this.transitions.loads}`;
  }

  flash(node) {
    node.classList.add("changed");
    node.addEventListener("animationend", () => node.classList.remove("changed"), { once: true });
  }

  /** Fill every row again: what they all depend on has changed. */
  again() {
    for (const row of this.rows.values()) row.version = "";
    this.paint();
  }

  /** Ages go on. */
  tick() {
    for (const row of this.rows.values()) row.tick();
  }

  /** The members that are chosen, also where only their records are shown. */
  members() {
    return this.chosen.flatMap((each) => each.found).filter((member) => !member.fallback);
  }

  /** The records that are in sight. */
  entries() {
    const found = new Set();
    for (const index of this.sight()) if (this.items[index].entry) found.add(this.items[index].entry);
    return [...found];
  }

  // -- the active row ------------------------------------------------------------------------

  firstInSight() {
    const top = this.covered() - this.box.getBoundingClientRect().top;
    const item = this.items.find((each) => each.top >= top && each.kind !== "heading");
    return item ? item.key : null;
  }

  activate(key) {
    const before = this.rows.get(this.active);
    this.active = key;
    if (before) this.markActive(before.node.dataset.key, before.node);
    const row = this.rows.get(key);
    if (row) this.markActive(key, row.node);
    if (!row) this.grid.removeAttribute("aria-activedescendant");
  }

  markActive(key, node) {
    const isActive = key === this.active;
    node.setAttribute("aria-selected", String(isActive));
    if (isActive) this.grid.setAttribute("aria-activedescendant", node.id);
  }

  move(step) {
    const at = this.places.has(this.active) ? this.places.get(this.active) : -1;
    this.goTo(Math.max(0, Math.min(this.items.length - 1, at + step)));
  }

  goTo(index) {
    const item = this.items[index];
    if (!item) return;
    this.reveal(item);
    this.activate(item.key);
  }

  /** Scroll so far that a row is in sight. */
  reveal(item) {
    const top = this.box.getBoundingClientRect().top + item.top;
    const above = top - this.covered() - 8;
    const below = top + item.height + 8 - innerHeight;
    if (above < 0) scrollBy(0, above);
    else if (below > 0) scrollBy(0, below);
    this.paint();
  }

  pressed(event) {
    const page = Math.max(1, Math.floor(innerHeight / 60));
    const moves = {
      ArrowDown: () => this.move(1),
      ArrowUp: () => this.move(-1),
      j: () => this.move(1),
      k: () => this.move(-1),
      PageDown: () => this.move(page),
      PageUp: () => this.move(-page),
      Home: () => this.goTo(0),
      End: () => this.goTo(this.items.length - 1),
      Enter: () => this.open(this.active),
      " ": () => this.open(this.active),
    };
    const does = moves[event.key];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    does();
  }

  clicked(event) {
    const row = event.target.closest("[role=row]");
    // Who marks a text to copy it does not want anything opened.
    if (!row || String(getSelection())) return;
    this.activate(row.dataset.key);
    this.open(row.dataset.key);
  }

  open(key) {
    const item = this.items[this.places.get(key)];
    if (item && item.kind !== "heading") this.opened(item);
  }
}

function heading(key, words) {
  return { kind: "heading", key, ...words, rows: [], found: [], records: 0, members: 0, down: 0 };
}

/** Add a record with these members below its heading; one that is compact has no rows of members. */
function put(below, entry, members, isCompact) {
  below.rows.push({ kind: "record", key: entry.key, entry, members: isCompact ? entry.members : null });
  below.records += 1;
  for (const member of members) {
    below.found.push(member);
    if (!isCompact) below.rows.push({ kind: "member", key: member.key, entry, member });
    if (member.fallback) continue;
    below.members += 1;
    if (member.effective === "DOWN") below.down += 1;
  }
}
