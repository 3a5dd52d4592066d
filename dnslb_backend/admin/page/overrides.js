// Overrides: drain, down and up, with a reason and an end, and clearing them.

import { post, remove, Refusal } from "./api.js";
import { el, say, visible } from "./dom.js";
import { left } from "./times.js";

const ACTIONS = [
  ["drain", "Drain", "not handed out; checks continue"],
  ["down", "Down", "as if its checks failed"],
  ["up", "Up", "as if its checks passed"],
];

const ENDS = [
  ["30 minutes", 1800],
  ["1 hour", 3600],
  ["2 hours", 7200],
  ["8 hours", 28800],
  ["1 day", 86400],
  ["until cleared", 0],
];

/** The form for one member; `refresh(row)` shows what is in force, `shared.overridden` is called after a change. */
export function overrideForm(member, shared) {
  const holds = el("div", { class: "holds" });
  const message = el("p", { class: "message", role: "status" });
  const doubt = el("div", { class: "doubt", role: "alert" });
  const form = el("form", { class: "override" });
  const actions = el("fieldset", { class: "actions" }, el("legend", {}, "What"));
  for (const [action, word, means] of ACTIONS) {
    const input = el("input", { type: "radio", name: "action", value: action });
    input.checked = action === "drain";
    actions.append(
      el("label", {}, input, el("strong", {}, word), " ", el("span", { class: "quiet" }, means)),
    );
  }
  const where = el("select", { name: "where" });
  where.append(
    el("option", { value: member.name }, `only in ${visible(member.name)}`),
    el("option", { value: "" }, `in every record, ${visible(member.address)}`),
  );
  const ends = el("select", { name: "ends" });
  for (const [words, seconds] of ENDS) ends.append(el("option", { value: seconds }, words));
  ends.value = "7200";
  const why = el("input", { name: "why", maxlength: 1024, placeholder: "shown to others", autocomplete: "off" });
  const button = el("button", { type: "submit", class: "primary" }, "Drain");
  const field = (words, input) => el("label", { class: "field" }, el("span", {}, words), input);
  form.append(actions, field("Where", where), field("For", ends), field("Reason", why), button);
  form.addEventListener("change", () => {
    const [, word] = ACTIONS.find(([action]) => action === form.elements.action.value) || ACTIONS[0];
    say(button, word);
    doubt.replaceChildren();
  });

  const attempt = async (what, words, ask) => {
    doubt.replaceChildren();
    say(message, "Sending …");
    button.disabled = true;
    try {
      await shared.withToken(() => ask(false), "Overrides need a token of role operate.");
      say(message, words);
      shared.overridden(member);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      say(message, "");
      const isLast = error.status === 409 && !error.errors.length;
      doubt.replaceChildren(...doubts(error, isLast && what, () => attempt("", words, () => ask(true))));
    } finally {
      button.disabled = false;
    }
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = form.elements.action.value;
    const [action, word] = ACTIONS.find(([name]) => name === chosen);
    const override = { target: member.address, action, name: where.value, reason: why.value.trim() };
    if (Number(ends.value)) override.expires_in = Number(ends.value);
    attempt(word, "The override is in force.", (force) => post("api/v1/overrides", { ...override, force }));
  });

  const clear = (target, name) =>
    attempt("Clear", "Cleared.", (force) =>
      remove("api/v1/overrides", { target, name, force: force ? "true" : "" }),
    );

  const refresh = (row) => holds.replaceChildren(...holding(row, clear));
  const more = el("details", { class: "overrides" }, el("summary", {}, "Drain, down or up"), form);
  return { node: el("div", { class: "operate" }, holds, more, message, doubt), refresh };
}

function holding(row, clear) {
  const override = row.override;
  if (override) {
    const end = override.expires ? `for another ${left(override.expires)}` : "until cleared";
    const where = override.name ? `in ${override.name}` : "in every record";
    const by = override.author ? ` by ${override.author}` : "";
    return [
      el("p", {}, visible(`${override.action}${by}, ${where}, ${end}${override.reason ? `: ${override.reason}` : ""}`)),
      el("button", { type: "button", on: { click: () => clear(override.id, "") } }, "Clear this override"),
    ];
  }
  if (row.flapping || row.waiting) {
    const why = row.flapping ? "It is held DOWN by damping (flapping)." : "It waits for failback.";
    return [
      el("p", {}, why),
      el("button", { type: "button", on: { click: () => clear(row.address, row.name) } }, "Readmit now"),
    ];
  }
  return [];
}

/** Why it was refused; and a button to do it anyway, where a record would lose its last serving member. */
function doubts(error, what, insist) {
  const words = [el("p", {}, el("strong", {}, "Refused. "), visible(sentence(error)))];
  if (!what) return words;
  words.push(
    el("p", {}, "No member would be left to serve it: clients get what all_down configures, usually an empty answer."),
    el("button", { type: "button", class: "danger", on: { click: insist } }, `${what} anyway`),
  );
  return words;
}

function sentence(error) {
  if (error.status === 403) return "This token may read, but not change anything.";
  const fields = error.errors.map((fault) => `${fault.field}: ${fault.message}`).join("; ");
  const text = fields || error.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
