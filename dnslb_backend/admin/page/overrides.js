// Overrides: drain, down and up, with a reason and an end, for one member or for several.

import { post, remove, Refusal } from "./api.js";
import { el, say, visible } from "./dom.js";
import { actionOf, scheduled } from "./rows.js";
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

/** A form for overrides. `wheres` are its choices, value and words; `targets(where)` gives the
 *  targets that are meant, each with its `name`; `report` says what has become of it. */
export function overrideForm(wheres, targets, report) {
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
  for (const [value, words] of wheres) where.append(el("option", { value }, visible(words)));
  const ends = el("select", { name: "ends" });
  for (const [words, seconds] of ENDS) ends.append(el("option", { value: seconds }, words));
  ends.value = "7200";
  const why = el("input", { name: "why", maxlength: 1024, placeholder: "shown to others", autocomplete: "off" });
  const button = el("button", { type: "submit", class: "primary" }, "Drain");
  const field = (words, input) => el("label", { class: "field" }, el("span", {}, words), input);
  form.append(actions, field("Where", where), field("For", ends), field("Reason", why), button);
  const word = () => ACTIONS.find(([action]) => action === form.elements.action.value)[1];
  form.addEventListener("change", () => {
    say(button, word());
    report.forget();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const override = { action: form.elements.action.value, reason: why.value.trim() };
    if (Number(ends.value)) override.expires_in = Number(ends.value);
    const chosen = targets(where.value);
    if (chosen.length) set(chosen, override);
    else report.say("Choose at least one member.");
  });
  /** Set one after the other; one that is refused holds up the rest until it is insisted upon. */
  const set = (chosen, override) => {
    const waiting = [...chosen];
    const each = async (isForced) => {
      for (let force = isForced; waiting.length; force = false) {
        const progress = `${chosen.length - waiting.length} of ${chosen.length} set.`;
        if (chosen.length > 1) report.say(progress);
        await post("api/v1/overrides", { ...override, ...waiting[0], force });
        waiting.shift();
      }
    };
    const words = chosen.length > 1 ? `${chosen.length} overrides are in force.` : "The override is in force.";
    report.attempt(word(), words, each, button);
  };
  return form;
}

/** The overrides of one member, each with a button that clears it, and the form. */
export function memberOverrides(member, shared) {
  const report = reporting(shared, () => shared.overridden([member.name]));
  const wheres = [
    [member.name, `only in ${member.name}`],
    ["", `in every record, ${member.address}`],
  ];
  const form = overrideForm(wheres, (name) => [{ target: member.address, name }], report);
  const holds = el("div", { class: "holds" });
  const clear = (target, name, button) => clearing(report, target, name, button);
  let shown = "";
  const refresh = (row) => {
    const found = shared.model.overridesOf(row);
    const key = JSON.stringify([found.map((each) => [each.id, each.pending]), row.flapping, row.waiting]);
    if (key !== shown) holds.replaceChildren(...holding(row, found, clear));
    shown = key;
    found.forEach((override, index) => say(holds.children[index].firstChild, sentence(override)));
  };
  const more = el("details", { class: "overrides" }, el("summary", {}, "Drain, down or up"), form);
  return { node: el("div", { class: "operate" }, holds, more, report.node), refresh };
}

function holding(row, overrides, clear) {
  const button = (words, target, name) => {
    const node = el("button", { type: "button" }, words);
    node.addEventListener("click", () => clear(target, name, node));
    return node;
  };
  const found = overrides.map((each) => el("div", {}, el("p"), button("Clear this override", each.id, "")));
  if (!row.override && (row.flapping || row.waiting)) {
    const why = row.flapping ? "It is held DOWN by damping (flapping)." : "It waits for failback.";
    found.push(el("div", {}, el("p", {}, why), button("Readmit now", row.address, row.name)));
  }
  return found;
}

/** An override in words; one with `isLesser` is in force, and another applies in its place. */
export function sentence(override) {
  if (override.pending) return `Pending: ${scheduled(override)}`;
  const end = override.expires ? `for another ${left(override.expires)}` : "until cleared";
  const where = override.name ? `in ${override.name}` : "in every record";
  const by = override.author ? ` by ${override.author}` : "";
  const why = override.reason ? `: ${override.reason}` : "";
  const lesser = override.isLesser ? " (another override takes precedence)" : "";
  return visible(`${actionOf(override)}${by}, ${where}, ${end}${why}${lesser}`);
}

export function clearing(report, target, name, button) {
  const ask = (force) => remove("api/v1/overrides", { target, name, force: force ? "true" : "" });
  report.attempt("Clear", "Cleared.", ask, button);
}

/** What becomes of changes: `attempt(word, done, ask, button)` calls `ask(force)`, with a token, and
 *  offers to force what was refused to keep a record served. */
export function reporting(shared, changed) {
  const message = el("p", { class: "message", role: "status" });
  const doubt = el("div", { class: "doubt", role: "alert" });
  const attempt = async (word, done, ask, button, isForced = false) => {
    doubt.replaceChildren();
    say(message, "Sending …");
    button.disabled = true;
    try {
      await shared.withToken(() => ask(isForced), "Overrides need a token of role operate.");
      say(message, done);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      say(message, "");
      const isLast = error.status === 409 && !error.errors.length;
      const insist = isLast ? () => attempt(word, done, ask, button, true) : null;
      doubt.replaceChildren(...doubts(error, word, insist));
    } finally {
      button.disabled = false;
      changed();
    }
  };
  return {
    node: el("div", {}, message, doubt),
    attempt,
    say: (words) => say(message, words),
    forget: () => doubt.replaceChildren(),
  };
}

/** Why it was refused; and a button to do it anyway, where a record would lose its last serving member. */
function doubts(error, word, insist) {
  const words = [el("p", {}, el("strong", {}, "Refused. "), visible(refusal(error)))];
  if (!insist) return words;
  words.push(
    el("p", {}, "No member would be left to serve it: clients get what all_down configures, usually an empty answer."),
    el("button", { type: "button", class: "danger", on: { click: insist } }, `${word} anyway`),
  );
  return words;
}

/** The message of the daemon as a sentence. */
export function refusal(error) {
  if (error.status === 403) return "This token may read, but not change anything.";
  const fields = error.errors.map((fault) => `${fault.field}: ${fault.message}`).join("; ");
  const text = fields || error.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
