// Overrides: drain, down, up and weight, with a reason, a beginning and an end, for one member or for
// several.

import { post, remove, Refusal } from "./api.js";
import { el, say, visible } from "./dom.js";
import { actionOf, scheduled } from "./rows.js";
import { left, parseMoment, zone } from "./times.js";

/** Of each action its name, the word on the button, and what it does. */
const ACTIONS = [
  ["drain", "Drain", "Drain", "not handed out; checks continue"],
  ["down", "Down", "Down", "as if its checks failed"],
  ["up", "Up", "Up", "as if its checks passed"],
  ["weight", "Weight", "Set weight", "its share of the answers"],
];

/** The highest weight that the API takes. */
const HEAVIEST = 65535;

const ENDS = [
  ["30 minutes", 1800],
  ["1 hour", 3600],
  ["2 hours", 7200],
  ["8 hours", 28800],
  ["1 day", 86400],
  ["until cleared", 0],
];

/** A form for overrides. `wheres` are its choices, value and words; `targets(where)` gives the
 *  targets that are meant, each with its `name`; `weight` is offered, null: weights have no effect;
 *  `report` says what has become of it. */
export function overrideForm(wheres, targets, weight, report) {
  const form = el("form", { class: "override" });
  const actions = el("fieldset", { class: "actions" }, el("legend", {}, "What"));
  for (const [action, word, , means] of ACTIONS) {
    const isIdle = action === "weight" && weight === null;
    const input = el("input", { type: "radio", name: "action", value: action, disabled: isIdle });
    input.checked = action === "drain";
    const note = isIdle ? "has no effect: policy is all" : means;
    actions.append(el("label", {}, input, el("strong", {}, word), " ", el("span", { class: "quiet" }, note)));
  }
  const field = (words, input, props) => el("label", { class: "field", ...props }, el("span", {}, words), input);
  const number = el("input", { type: "number", name: "weight", min: 0, max: HEAVIEST, required: true, disabled: true, value: weight ?? "" });
  const heavy = field("Weight", number, { hidden: true });
  const where = el("select", { name: "where" });
  for (const [value, words] of wheres) where.append(el("option", { value }, visible(words)));
  const begin = el("input", { type: "datetime-local", name: "begins" });
  const ends = el("select", { name: "ends" });
  for (const [words, seconds] of ENDS) ends.append(el("option", { value: seconds }, words));
  ends.value = "7200";
  const beginning = el("span", {}, "");
  const why = el("input", { name: "why", maxlength: 1024, placeholder: "shown to others", autocomplete: "off" });
  const button = el("button", { type: "submit", class: "primary" });
  const times = el("div", { class: "pair" }, el("label", { class: "field" }, beginning, begin), field("For", ends));
  form.append(actions, heavy, field("Where", where), times, field("Reason", why), button);
  const chosenAction = () => ACTIONS.find(([action]) => action === form.elements.action.value);
  const refresh = () => {
    const moment = parseMoment(begin.value);
    say(beginning, `Begins (empty: now), ${zone(moment || undefined)}`);
    const [, name, word] = chosenAction();
    say(button, moment ? `Schedule ${name.toLowerCase()}` : word);
    heavy.hidden = number.disabled = form.elements.action.value !== "weight";
  };
  form.addEventListener("change", () => {
    refresh();
    report.forget();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const override = { action: form.elements.action.value, reason: why.value.trim() };
    const moment = parseMoment(begin.value);
    if (moment) override.starts = moment.toISOString();
    if (Number(ends.value)) override.expires_in = Number(ends.value);
    if (!number.disabled) override.weight = Number(number.value);
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
    const is = override.starts ? "pending" : "in force";
    const words = chosen.length > 1 ? `${chosen.length} overrides are ${is}.` : `The override is ${is}.`;
    report.attempt(chosenAction()[2], words, each, button);
  };
  refresh();
  return { node: form, refresh };
}

/** The weight that an override may change; null where the policy of a record does not count weights. */
export function weightOf(record, member) {
  return record && record.policy !== "all" ? member.weight : null;
}

/** The overrides of one member, each with a button that clears it, and the form. */
export function memberOverrides(record, member, shared) {
  const report = reporting(shared, () => shared.overridden([member.name]));
  const wheres = [
    [member.name, `only in ${member.name}`],
    ["", `in every record, ${member.address}`],
  ];
  const targets = (name) => [{ target: member.address, name }];
  const form = overrideForm(wheres, targets, weightOf(record, member), report);
  const holds = el("div", { class: "holds" });
  const clear = (target, name, button) => clearing(report, target, name, button);
  let shown = "";
  const refresh = (row) => {
    const found = shared.model.overridesOf(row);
    const key = JSON.stringify([found.map((each) => [each.id, each.pending]), row.flapping, row.waiting]);
    if (key !== shown) holds.replaceChildren(...holding(row, found, clear));
    shown = key;
    found.forEach((override, index) => say(holds.children[index].firstChild, sentence(override)));
    form.refresh();
    report.refresh();
  };
  const more = el("details", { class: "overrides" }, el("summary", {}, "Drain, down, up or weight"), form.node);
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
  const idle = el("p", { class: "warning", hidden: true });
  const refresh = () => {
    say(idle, visible(shared.readOnly()));
    idle.hidden = !shared.readOnly();
  };
  refresh();
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
    node: el("div", {}, idle, message, doubt),
    attempt,
    refresh,
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
