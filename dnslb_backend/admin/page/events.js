// Transitions, a list item each.

import { el, visible } from "./dom.js";
import { OVERRIDDEN, shape } from "./icons.js";
import { brief, local } from "./times.js";

/** One transition as a list item. */
export function eventRow(event) {
  const [kind, state] = stateOf(event);
  return el(
    "li",
    {},
    el("time", { datetime: event.at, title: local(event.at) }, brief(event.at)),
    el("span", { class: "health", data: { kind } }, shape(kind), el("span", {}, change(event, state))),
    el("span", { class: "why" }, visible(event.reason)),
  );
}

/** The mark and the word for what the member was after it; the reason begins with an override. */
export function stateOf(event) {
  const found = /^override (drain|down|up)\b/.exec(event.reason);
  if (found) return OVERRIDDEN[found[1]];
  return [event.to_health.toLowerCase(), event.to_health];
}

function change(event, state) {
  const isSame = event.from_health === event.to_health || state !== event.to_health;
  const words = isSame ? state : `${event.from_health} → ${state}`;
  if (event.from_served === event.to_served) return words;
  return `${words}, ${event.to_served ? "served" : "not served"}`;
}
