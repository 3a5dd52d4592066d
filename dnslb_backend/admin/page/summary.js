// The summary: counts, and how the parts of the node are doing.

import { byId, el, say, svg } from "./dom.js";
import { shape } from "./icons.js";
import { span } from "./times.js";

const COUNTS = {
  up: (found) => found.up,
  down: (found) => found.down,
  unknown: (found) => found.unknown,
  fallback: (found) => found.fallback,
  empty: (found) => found.nodata,
  failing: (found) => found.servfail + found.pending,
  "all-down": (found) => found.all + found.last,
  override: (found) => found.override,
  flapping: (found) => found.flapping,
  waiting: (found) => found.waiting,
  stale: (found) => found.stale,
};

export class Summary {
  /** `pressed(state)` is called when somebody wants to see only those. */
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
      const number = COUNTS[button.dataset.state](found);
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

  /** What /readyz says; null while it cannot be asked. */
  parts(told) {
    for (const [name, [mood, word, more]] of Object.entries(judge(told))) {
      const place = byId(`part-${name}`);
      place.replaceChildren(el("span", { class: `part ${mood}` }, word));
      place.title = more;
    }
  }
}

function judge(told) {
  if (!told) {
    const none = ["none", "not known", ""];
    return { ready: none, brake: none, purge: none, store: none };
  }
  const details = told.details;
  return {
    ready: ready(told),
    brake: details ? brake(details.brake) : hidden(),
    purge: details ? purge(details.purge) : hidden(),
    store: details ? store(details.mirror) : hidden(),
  };
}

function hidden() {
  return ["none", "not shown", "Who may not read is not told."];
}

function ready(told) {
  if (told.ready) return ["good", "ready", "Every balanced record has an answer."];
  const count = told.pending ? told.pending.count : 0;
  const first = told.pending ? told.pending.first.slice(0, 10).join(", ") : "";
  return ["bad", count ? `${count} pending` : "not ready", first];
}

function brake(told) {
  if (!told) return ["good", "released", "No outage is being held back."];
  const since = span(told.silent_for * 1000);
  if (told.spent) return ["bad", `spent, ${since}`, "No canary answers; changes are applied again."];
  return ["bad", `holds ${told.held}, ${since}`, "No canary answers: our own network may be down."];
}

function purge(told) {
  if (!told) return ["good", "clean", "PowerDNS knows of every change."];
  if (!Array.isArray(told)) return ["none", "off", told.advice || ""];
  const waiting = told.reduce((sum, channel) => sum + channel.unpurged, 0);
  return ["bad", `failing, ${waiting} wait`, told.map((each) => `${each.channel}: ${each.error}`).join("\n")];
}

function store(told) {
  if (!told || typeof told !== "object") return ["bad", "not known", String(told || "")];
  const rival = told.mirrors.find((mirror) => mirror.rival);
  if (rival) return ["bad", "two nodes, one name", `also ${rival.rival}`];
  const cut = told.mirrors.filter((mirror) => !mirror.is_connected);
  if (told.is_volatile) return ["bad", "not kept", "The local file cannot be used."];
  const names = told.mirrors.map((mirror) => mirror.store).join(", ");
  if (!cut.length) return ["good", "in step", names];
  return ["bad", `${cut.map((mirror) => mirror.store).join(", ")} away`, cut.map((mirror) => mirror.last_error).join("\n")];
}
