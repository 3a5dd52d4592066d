// Orders: drain, down, up, and taking them back; with a reason, an end, and clear words.

import { post, remove, Refusal } from "./api.js";
import { el, say, visible } from "./dom.js";
import { left } from "./times.js";

const ACTIONS = [
  ["drain", "Drain", "no new answers; checks go on"],
  ["down", "Down", "as if its checks failed"],
  ["up", "Up", "as if its checks passed"],
];

const ENDS = [
  ["30 minutes", 1800],
  ["1 hour", 3600],
  ["2 hours", 7200],
  ["8 hours", 28800],
  ["1 day", 86400],
  ["until it is cleared", 0],
];

/** The form for one member; `refresh(row)` follows what holds. `shared.ordered` is told of it. */
export function overrideForm(member, shared) {
  const holds = el("div", { class: "holds" });
  const said = el("p", { class: "said", role: "status" });
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
  const why = el("input", { name: "why", maxlength: 1024, placeholder: "for others to read", autocomplete: "off" });
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
    say(said, "Asking ..");
    button.disabled = true;
    try {
      await shared.withToken(() => ask(false), "Orders need a token of role operate.");
      say(said, words);
      shared.ordered(member);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      say(said, "");
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
    const order = { target: member.address, action, name: where.value, reason: why.value.trim() };
    if (Number(ends.value)) order.expires_in = Number(ends.value);
    attempt(word, "The order holds.", (force) => post("api/v1/overrides", { ...order, force }));
  });

  const takeBack = (target, name) =>
    attempt("Clear", "It is taken back.", (force) =>
      remove("api/v1/overrides", { target, name, force: force ? "true" : "" }),
    );

  const refresh = (row) => holds.replaceChildren(...holding(row, takeBack));
  const more = el("details", { class: "overrides" }, el("summary", {}, "Drain, down or up"), form);
  return { node: el("div", { class: "operate" }, holds, more, said, doubt), refresh };
}

function holding(row, takeBack) {
  const order = row.override;
  if (order) {
    const end = order.expires ? `for another ${left(order.expires)}` : "until it is cleared";
    const where = order.name ? `in ${order.name}` : "in every record";
    const by = order.author ? ` by ${order.author}` : "";
    return [
      el("p", {}, visible(`${order.action}${by}, ${where}, ${end}${order.reason ? `: ${order.reason}` : ""}`)),
      el("button", { type: "button", on: { click: () => takeBack(order.id, "") } }, "Clear this order"),
    ];
  }
  if (row.flapping || row.waiting) {
    const why = row.flapping ? "It is held down for flapping." : "It waits before it serves again.";
    return [
      el("p", {}, why),
      el("button", { type: "button", on: { click: () => takeBack(row.address, row.name) } }, "Let it in now"),
    ];
  }
  return [];
}

/** Why it was refused; and where that was for the last one that serves, how to insist. */
function doubts(error, what, insist) {
  const words = [el("p", {}, el("strong", {}, "Refused. "), visible(sentence(error)))];
  if (!what) return words;
  words.push(
    el("p", {}, "Nobody would be left to serve there: clients get what is configured for that, an empty answer as a rule."),
    el("button", { type: "button", class: "danger", on: { click: insist } }, `${what} it all the same`),
  );
  return words;
}

function sentence(error) {
  if (error.status === 403) return "This token may read, but not order anything.";
  const fields = error.errors.map((fault) => `${fault.field}: ${fault.message}`).join("; ");
  const text = fields || error.message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
