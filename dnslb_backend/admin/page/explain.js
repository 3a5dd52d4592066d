// Explain: how an answer is built, step by step.

import { get } from "./api.js";
import { el, say, visible } from "./dom.js";
import { badge } from "./icons.js";

const TYPES = ["ANY", "A", "AAAA", "CNAME", "MX", "SRV", "TXT", "NS", "SOA", "CAA", "PTR"];

const POLICIES = {
  all: "all members that serve are answered",
  weighted: "picked by weight",
  sticky: "picked by the client's network",
};

/** Asks for an answer; `down` supposes that a target is down. */
export function explainView({ name = "", type = "ANY", down = "" } = {}) {
  const question = el("input", { name: "name", required: true, placeholder: "www.lb.example", autocomplete: "off", spellcheck: "false", value: name });
  const kind = el("select", { name: "type" });
  for (const each of TYPES) kind.append(el("option", { value: each }, each));
  kind.value = TYPES.includes(type) ? type : "ANY";
  const client = el("input", { name: "client", placeholder: "any client", autocomplete: "off", spellcheck: "false" });
  const supposed = el("input", { name: "down", placeholder: "an address, label or glob", autocomplete: "off", spellcheck: "false", value: down });
  const result = el("div", { class: "explanation" });
  const message = el("p", { class: "message", role: "status" });
  const field = (words, input) => el("label", { class: "field" }, el("span", {}, words), input);
  const form = el(
    "form",
    { class: "ask" },
    field("Name", question),
    field("Type", kind),
    field("Client", client),
    field("What if these were down", supposed),
    el("button", { type: "submit", class: "primary" }, "Explain"),
  );
  let asked = 0;
  const ask = async () => {
    const mine = (asked += 1);
    say(message, "Loading …");
    try {
      const report = await get("api/v1/explain", {
        name: question.value.trim(),
        type: kind.value,
        client: client.value.trim(),
        down: supposed.value.trim(),
      });
      if (mine !== asked) return;
      say(message, "");
      result.replaceChildren(...explanation(report));
    } catch (error) {
      if (mine !== asked) return;
      const fields = (error.errors || []).map((fault) => `${fault.field}: ${fault.message}`);
      say(message, visible(fields.join("; ") || error.message));
      result.replaceChildren();
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  if (name) ask();
  return { title: "Explain an answer", node: el("div", {}, form, message, result), first: question };
}

function explanation(report) {
  const mood = report.verdict === "NOERROR" ? "good" : report.verdict === "NODATA" ? "warn" : "bad";
  return [
    el(
      "p",
      { class: "verdict" },
      el("span", { class: `tag ${mood}` }, visible(report.verdict)),
      " ",
      el("span", { class: "rdata" }, visible(`${report.name} ${report.type}`)),
      report.client ? el("span", { class: "quiet" }, visible(` for ${report.client}`)) : null,
      report.down ? el("span", { class: "tag hold" }, visible(`if ${report.down} were down`)) : null,
    ),
    report.via.length ? el("p", { class: "quiet" }, visible(`via ${report.via.join(", ")}`)) : null,
    report.zone ? null : el("p", {}, "No zone of this daemon."),
    answers(report.answer),
    report.records.map(recordPart),
  ]
    .flat()
    .filter(Boolean);
}

function answers(rows) {
  if (!rows.length) return null;
  const head = el("tr", {}, ["Name", "TTL", "Type", "Content"].map((word) => el("th", { scope: "col" }, word)));
  const lines = rows.map((row) =>
    el(
      "tr",
      {},
      [row.name, row.ttl, row.type, row.content + (row.scope ? `  (scope /${row.scope})` : "")].map((text) =>
        el("td", { class: "rdata" }, visible(text)),
      ),
    ),
  );
  return el(
    "div",
    { class: "scroll" },
    el("table", {}, el("caption", {}, "The answer"), el("thead", {}, head), el("tbody", {}, lines)),
  );
}

function recordPart(record) {
  const steps = [
    `${POLICIES[record.policy] || record.policy}, at most ${record.max_answers}`,
    record.threshold === null
      ? "no member may serve"
      : `priority ${record.threshold} and above serves`,
    record.views.length ? `views of this client: ${record.views.join(", ")}` : null,
    record.view ? `view ${record.view} serves it` : null,
    `${record.service}; when all are down: ${record.all_down}`,
    `ttl ${record.ttl} s${record.scope ? `, for all clients that share ${record.scope} bits of its address` : ""}`,
    record.by_chance ? "random: the next answer may differ" : null,
  ].filter(Boolean);
  return el(
    "section",
    {},
    el("h3", {}, visible(`${record.name} ${record.type}`)),
    el("ol", { class: "steps" }, steps.map((step) => el("li", {}, visible(step)))),
    record.warnings.map((warning) => el("p", { class: "warning" }, visible(warning))),
    el("ul", { class: "candidates" }, record.members.map(candidate)),
  );
}

function candidate(member) {
  return el(
    "li",
    { class: member.picked ? "picked" : "" },
    badge(member),
    el("span", { class: "rdata" }, visible(member.content)),
    el("span", { class: `tag ${member.picked ? "good" : "plain"}` }, member.outcome),
    el(
      "span",
      { class: "quiet" },
      `prio ${member.priority === null ? "–" : member.priority}, weight ${member.weight}`,
      member.views.length ? visible(`, for ${member.views.join(", ")}`) : "",
    ),
    el("span", { class: "why" }, visible(member.reason)),
  );
}
