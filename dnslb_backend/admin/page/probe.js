// Check now: the checks of a name, run at once, without affecting health.

import { post, Refusal } from "./api.js";
import { el, say, visible } from "./dom.js";
import { refusal } from "./overrides.js";
import { count } from "./rows.js";
import { duration } from "./times.js";

// The answer comes when the slowest check has ended.
const LIMIT = 600000;

const MOODS = { pass: "good", fail: "bad", error: "warn" };

/** A button that runs the checks of a record, and their results; `isMeant` selects those shown. */
export function probePart({ name, type }, shared, isMeant = () => true) {
  const button = el("button", { type: "button" }, "Check now");
  const message = el("p", { class: "quiet", role: "status" });
  const results = el("ul", { class: "probes" });
  const run = async () => {
    button.disabled = true;
    results.replaceChildren();
    say(message, "Checking …");
    try {
      const ask = () => post("api/v1/probe", { name, type }, LIMIT);
      const { probes } = await shared.withToken(ask, "Checking now needs a token of role operate.");
      const shown = probes.filter(isMeant);
      say(message, shown.length ? `${count(shown.length, "check")} run, health is not affected` : "Nothing to check.");
      results.replaceChildren(...shown.map(result));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      say(message, visible(refusal(error)));
    } finally {
      button.disabled = false;
    }
  };
  button.addEventListener("click", run);
  return el("div", { class: "probing" }, el("div", { class: "bar-line" }, button, message), results);
}

function result(probe) {
  const stays = probe.health === probe.would_be ? `${probe.health}, would stay so` : `${probe.health}, would become ${probe.would_be}`;
  return el(
    "li",
    {},
    el("span", { class: `tag ${MOODS[probe.outcome]}` }, probe.outcome),
    el("span", { class: "rdata" }, visible(probe.contents.join(", ") || probe.address)),
    el("span", { class: "quiet" }, duration(probe.duration_ms)),
    el("p", {}, visible(probe.text || `code ${probe.code}`)),
    el("p", { class: "quiet" }, visible(`${probe.asked}: ${stays}`)),
  );
}
