// Marks of health: a shape and a word for each, so that colour is never all there is.

import { el, svg } from "./dom.js";

const HEXAGON = "M8 .4l6.6 3.8v7.6L8 15.6l-6.6-3.8V4.2z";

const SHAPES = {
  // A disc with a tick.
  up: [
    ["circle", { cx: 8, cy: 8, r: 7, class: "fill" }],
    ["path", { d: "M4.8 8.2l2.3 2.3 4.2-4.7", class: "line" }],
  ],
  // A square on its tip would be a warning sign: this is a block with a cross.
  down: [
    ["rect", { x: 1, y: 1, width: 14, height: 14, rx: 2.5, class: "fill" }],
    ["path", { d: "M5 5l6 6M11 5l-6 6", class: "line" }],
  ],
  // A hollow diamond with a point.
  unknown: [
    ["path", { d: "M8 1.2L14.8 8 8 14.8 1.2 8z", class: "edge" }],
    ["path", { d: "M8 5v3.6M8 10.6v.5", class: "ink" }],
  ],
  // Two bars, as on every player.
  drain: [
    ["circle", { cx: 8, cy: 8, r: 7, class: "fill" }],
    ["path", { d: "M6 5v6M10 5v6", class: "line" }],
  ],
  // A hexagon: what an operator says, whatever the checks do.
  "forced-up": [
    ["path", { d: HEXAGON, class: "fill" }],
    ["path", { d: "M4.8 8.2l2.3 2.3 4.2-4.7", class: "line" }],
  ],
  "forced-down": [
    ["path", { d: HEXAGON, class: "fill" }],
    ["path", { d: "M5.5 5.5l5 5M10.5 5.5l-5 5", class: "line" }],
  ],
  flapping: [
    ["rect", { x: 1, y: 1, width: 14, height: 14, rx: 2.5, class: "fill" }],
    ["path", { d: "M3 9.5l2.5-4 2.5 5 2.5-5 2.5 4", class: "line" }],
  ],
  waiting: [
    ["circle", { cx: 8, cy: 8, r: 6.3, class: "edge" }],
    ["path", { d: "M8 4.5V8l2.4 1.6", class: "ink" }],
  ],
  stale: [
    ["circle", { cx: 8, cy: 8, r: 6.3, class: "edge dashed" }],
    ["path", { d: "M8 4.5v4.2M8 10.8v.5", class: "ink" }],
  ],
  fallback: [
    ["path", { d: "M8 1.2L14.8 14H1.2z", class: "edge" }],
    ["path", { d: "M8 6v4M8 11.8v.3", class: "ink" }],
  ],
};

/** The drawing alone; it says nothing to those who do not see it. */
export function shape(kind) {
  const parts = (SHAPES[kind] || SHAPES.unknown).map(([tag, props]) => svg(tag, props));
  return svg(
    "svg",
    { class: "mark", viewBox: "0 0 16 16", "aria-hidden": "true", data: { kind } },
    parts,
  );
}

/** The mark and the state of a member by the action of its override. */
export const OVERRIDDEN = {
  drain: ["drain", "DRAINED"],
  up: ["forced-up", "FORCED UP"],
  down: ["forced-down", "FORCED DOWN"],
};

/** The shape for the state of a member, as the API names it. */
const KINDS = {
  UP: "up",
  DOWN: "down",
  UNKNOWN: "unknown",
  STALE: "stale",
  WAITING: "waiting",
  FLAPPING: "flapping",
  ...Object.fromEntries(Object.values(OVERRIDDEN).map(([kind, state]) => [state, kind])),
  FALLBACK: "fallback",
};

export function kindOf(member) {
  return KINDS[member.state] || "unknown";
}

/** Mark and word together. */
export function badge(member) {
  const kind = kindOf(member);
  return el("span", { class: "health", data: { kind } }, shape(kind), el("span", {}, member.state));
}
