// The latest changes, in the panel.

import { memberKey, recordKey } from "./model.js";
import { el, visible } from "./dom.js";
import { eventRow } from "./events.js";
import { zone } from "./times.js";

export function changesView(history, shared) {
  const list = el("ol", { class: "events far" });
  const message = el("p", { class: "quiet" });
  let seen = null;
  const refresh = () => {
    const version = `${history.version} ${zone()}`;
    if (seen === version) return;
    seen = version;
    message.textContent = history.latest.length
      ? `The latest changes of this node, newest first, times in ${zone()}.`
      : "Nothing changed within the last hour.";
    list.replaceChildren(...history.latest.slice(0, 150).map((event) => named(event, shared)));
  };
  refresh();
  return { title: "Changes", node: el("div", {}, message, list), refresh };
}

function named(event, shared) {
  const row = eventRow(event);
  const open = () => {
    const entry = shared.model.entries.get(recordKey(event));
    const member = entry && entry.members.find((each) => each.key === memberKey(event));
    if (member) shared.openMember(entry.key, member);
  };
  row.querySelector("time").after(
    el(
      "button",
      { type: "button", class: "plain who", on: { click: open } },
      el("span", {}, visible(event.name)),
      " ",
      el("span", { class: "rdata" }, visible(event.content)),
    ),
  );
  return row;
}
