// Overrides for several members at once, and the list of all that hold.

import { get, Refusal } from "./api.js";
import { el, say, visible } from "./dom.js";
import { badge } from "./icons.js";
import { recordKey } from "./model.js";
import { clearing, overrideForm, refusal, reporting, sentence, weightOf } from "./overrides.js";
import { count } from "./rows.js";

/** So many members can be chosen from. */
export const MOST = 200;

/** So many of the members that an override affects are named. */
const MOST_NAMED = 5;

/** Drain, down, up or weight for the members that are ticked; with `label`, a choice is every member that has it. */
export function severalView(members, label, shared) {
  const boxes = members.map((member) => {
    const box = el("input", { type: "checkbox" });
    box.checked = true;
    return { box, member };
  });
  const picked = () => boxes.filter(({ box }) => box.checked).map(({ member }) => member);
  const total = el("p", { class: "quiet", role: "status" });
  const update = () => say(total, `${count(picked().length, "member")} chosen, of ${members.length}`);
  const all = el("button", { type: "button" }, "All or none");
  all.addEventListener("click", () => {
    const isAll = boxes.every(({ box }) => box.checked);
    for (const { box } of boxes) box.checked = !isAll;
    update();
  });
  const list = el(
    "ul",
    { class: "picks", on: { change: update } },
    boxes.map(({ box, member }) =>
      el("li", {}, el("label", {}, box, el("span", { class: "rdata" }, visible(member.content)), badge(member), el("span", { class: "quiet" }, visible(`${member.name} ${member.type}`)))),
    ),
  );
  const wheres = [
    ["each", "only in these records"],
    ["every", "in every record with these addresses"],
    ...(label ? [["label", `wherever ${label} is, also later`]] : []),
  ];
  const targets = (where) => (where === "label" ? [{ target: label, name: "" }] : targetsOf(picked(), where));
  const report = reporting(shared, () => shared.overridden(members.map((member) => member.name)));
  const weights = members.map((member) => weightOf(shared.model.entries.get(recordKey(member))?.record, member));
  const found = new Set(weights.filter((weight) => weight !== null));
  const form = overrideForm(wheres, targets, found.size ? [...found][0] : null, report);
  update();
  const section = el("section", {}, el("h3", {}, "Members"), el("div", { class: "bar-line" }, total, all), list);
  const refresh = () => {
    form.refresh();
    report.refresh();
  };
  return { title: "Override several members", node: el("div", {}, form.node, report.node, section), refresh };
}

/** Each target once: members of several records and types may share an address. */
function targetsOf(members, where) {
  const found = new Map();
  for (const { address, name } of members) {
    const target = { target: address, name: where === "each" ? name : "" };
    found.set(`${target.target} ${target.name}`, target);
  }
  return [...found.values()];
}

/** Every override in force or pending on any node, and what it affects. */
export function allOverridesView(shared) {
  const message = el("p", { class: "quiet", role: "status" });
  const list = el("ul", { class: "all" });
  let seen = null;
  const load = async () => {
    try {
      const { overrides } = await get("api/v1/overrides");
      say(message, overrides.length ? `${count(overrides.length, "override")} in force or pending, newest first` : "No overrides.");
      list.replaceChildren(...overrides.reverse().map(item));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      say(message, visible(refusal(error)));
    }
  };
  const report = reporting(shared, () => {});
  const item = (override) => {
    const button = el("button", { type: "button" }, "Clear");
    button.addEventListener("click", () => clearing(report, override.id, "", button));
    return el(
      "li",
      {},
      el("strong", { class: "rdata" }, visible(override.target)),
      el("p", {}, sentence(override)),
      el("p", { class: "quiet" }, visible(affected(override))),
      button,
    );
  };
  const refresh = () => {
    report.refresh();
    if (seen === shared.model.overrides) return;
    seen = shared.model.overrides;
    load();
  };
  refresh();
  return { title: "Overrides", node: el("div", {}, message, report.node, list), refresh };
}

function affected({ affects, node, pending }) {
  const where = node ? `On ${node}. ` : "";
  if (pending) return `${where}Affects nothing yet.`;
  if (!affects.members) return `${where}Affects nothing here.`;
  const first = affects.first.slice(0, MOST_NAMED);
  const more = affects.members > first.length ? ` and ${affects.members - first.length} more` : "";
  return `${where}Affects ${count(affects.members, "member")}: ${first.join(", ")}${more}`;
}
