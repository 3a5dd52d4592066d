// The summary: counts, and how the parts of the node are doing.

import { byId, el, say, svg } from "./dom.js";
import { shape } from "./icons.js";
import { span } from "./times.js";

export class Summary {
  /** `pressed(state)` is called when a counter is pressed, to show only those. */
  constructor(pressed) {
    this.buttons = [...document.querySelectorAll(".counters button")];
    for (const button of this.buttons) {
      const place = button.querySelector("[data-mark]");
      if (place) place.append(shape(place.dataset.mark));
      button.addEventListener("click", () => pressed(button.dataset.state));
    }
  }

  count(found) {
    say(byId("members"), found.members.toLocaleString("en"));
    say(byId("records"), found.records.toLocaleString("en"));
    for (const button of this.buttons) {
      const number = found[button.dataset.state];
      say(button.querySelector("b"), number.toLocaleString("en"));
      button.classList.toggle("none", number === 0);
    }
    this.share(found);
  }

  share(found) {
    const total = Math.max(found.members, 1);
    let at = 0;
    const parts = ["up", "unknown", "down"].map((kind) => {
      // The smallest share that there is at all is to be seen.
      const wide = found[kind] ? Math.max((found[kind] / total) * 100, 1) : 0;
      const part = svg("rect", { class: kind, x: at, y: 0, width: wide, height: 6 });
      at += wide;
      return part;
    });
    byId("shares").setAttribute("viewBox", `0 0 ${Math.max(at, 1)} 6`);
    byId("shares").replaceChildren(...parts);
  }

  press(state) {
    for (const button of this.buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.state === state));
    }
  }

  /** The report of /readyz; null while it cannot be read. */
  parts(report) {
    for (const [name, [mood, word, more]] of Object.entries(judge(report))) {
      const place = byId(`part-${name}`);
      place.replaceChildren(el("span", { class: `part ${mood}` }, word));
      place.title = more;
    }
  }
}

function judge(report) {
  if (!report) {
    const none = ["none", "not known", ""];
    return { ready: none, brake: none, purge: none, store: none, config: none };
  }
  const details = report.details;
  return {
    ready: ready(report),
    brake: details ? brake(details.brake) : hidden(),
    purge: details ? purge(details.purge) : hidden(),
    store: details ? store(details.mirror) : hidden(),
    config: details ? config(details.config) : hidden(),
  };
}

function hidden() {
  return ["none", "not shown", "Only callers that may read see this."];
}

function ready(report) {
  if (report.ready) return ["good", "ready", "Every balanced record has an answer."];
  const count = report.pending ? report.pending.count : 0;
  const first = report.pending ? report.pending.first.slice(0, 10).join(", ") : "";
  return ["bad", count ? `${count} pending` : "not ready", first];
}

function brake(report) {
  if (!report) return ["good", "not engaged", "No DOWN is held back."];
  if (report.canaries === 0) return ["none", "off (no canaries)", "[brake] canaries is empty."];
  const since = span(report.silent_for * 1000);
  if (report.spent) return ["bad", `spent, ${since}`, "No canary answers; DOWNs are applied again."];
  return ["bad", `holds ${report.held}, ${since}`, "No canary answers: our own network may be down."];
}

function purge(report) {
  if (!report) return ["good", "OK", "PowerDNS has confirmed every purge."];
  // Whether PowerDNS's caches are off is not known here.
  if (!Array.isArray(report)) return ["caution", "off", `No PowerDNS is purged: ${report.advice}`];
  const waiting = report.reduce((sum, channel) => sum + channel.unpurged, 0);
  return ["bad", `failing, ${waiting} waiting`, report.map((each) => `${each.channel}: ${each.error}`).join("\n")];
}

function store(report) {
  if (!report || typeof report !== "object") return ["bad", "not known", String(report || "")];
  const twin = report.mirrors.find((mirror) => mirror.duplicate_instance);
  if (twin) return ["bad", "duplicate node name", `Another daemon, instance ${twin.duplicate_instance}, uses it.`];
  const cut = report.mirrors.filter((mirror) => !mirror.is_connected);
  if (report.is_volatile) return ["bad", "not persistent", "The local file cannot be used."];
  const names = report.mirrors.map((mirror) => mirror.store).join(", ");
  if (!cut.length) return ["good", "in sync", names];
  return ["bad", `${cut.map((mirror) => mirror.store).join(", ")} unavailable`, cut.map((mirror) => mirror.last_error).join("\n")];
}

function config(report) {
  if (!report) return ["good", "as on disk", "The last reload succeeded, or there was none."];
  return ["bad", "not what is on disk", `Running is not what is on disk, the last reload was refused: ${report.problem}`];
}
