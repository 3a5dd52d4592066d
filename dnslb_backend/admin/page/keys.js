// Keyboard: one key each, wherever no text is being written.

import { byId, el } from "./dom.js";

export function followKeys(actions) {
  const list = byId("keys-list");
  for (const { keys, words } of actions) {
    list.append(el("dt", {}, keys.map((key) => el("kbd", {}, key))), el("dd", {}, words));
  }
  const dialog = byId("keys-dialog");
  byId("keys-close").addEventListener("click", () => dialog.close());
  byId("open-keys").addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    if (document.querySelector("dialog:modal")) return;
    const found = actions.find(({ keys, does }) => does && keys.includes(event.key));
    if (!found) return;
    event.preventDefault();
    found.does();
  });
}

function isWriting(node) {
  if (node instanceof HTMLInputElement) return !["radio", "checkbox"].includes(node.type);
  return node instanceof HTMLSelectElement || node instanceof HTMLTextAreaElement;
}
