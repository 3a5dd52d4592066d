// One record in full: its facts, its host names, and its members.

import { el, visible } from "./dom.js";
import { fillFacts, section } from "./detail.js";
import { badge } from "./icons.js";
import { probePart } from "./probe.js";
import { answer } from "./rows.js";

/** Everything about one record. `shared` are the parts of the page, as in detail.js. */
export function recordView(key, shared) {
  const entry = shared.model.entries.get(key);
  const { name, type } = entry.record;
  const facts = el("dl", { class: "facts" });
  const hosts = el("ul", { class: "hosts" });
  const members = el("ul", { class: "members" });
  const current = () => shared.model.entries.get(key);
  let seen = null;
  const refresh = () => {
    const found = current();
    if (!found || seen === found.version) return;
    seen = found.version;
    const { record } = found;
    fillFacts(facts, [
      ["Service", record.summary],
      ["DNS answers", answer(record)],
      ["Policy", record.policy],
      ["Serving priority", record.threshold === null ? "–" : `${record.threshold} and above`],
      ["TTL", `${record.ttl} s`],
      ["First check cycle", record.ready ? "has ended" : "has not ended"],
      ["Change held back", record.held ? "until the check cycle ends" : "no"],
    ]);
    hosts.replaceChildren(...record.hosts.map(hostItem));
    members.replaceChildren(...found.members.map((row) => memberItem(key, row, shared)));
  };
  refresh();
  const button = (words, click) => el("button", { type: "button", on: { click } }, words);
  const node = el(
    "div",
    {},
    section("Facts", facts),
    el(
      "div",
      { class: "bar-line" },
      button("Explain this name", () => shared.explain({ name, type })),
      button("Override several", () => shared.several(current().members.filter((row) => !row.fallback))),
    ),
    section("Members", members),
    section("Check now", probePart({ name, type }, shared)),
    entry.record.hosts.length ? section("Host names", hosts) : null,
  );
  return { title: `${visible(name)} ${type}`, node, refresh, key, record: key };
}

function hostItem(host) {
  return el(
    "li",
    {},
    visible(`${host.host}: ${host.addresses.join(", ") || "no address"}`),
    el("span", { class: "quiet" }, visible(` ${host.resolution || "not asked yet"} ${host.text}`)),
  );
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
