// The panel beside the list: one at a time, closed with Escape from anywhere; focus that was in it
// returns whence it came.

import { byId } from "./dom.js";

export class Panel {
  constructor() {
    this.box = byId("panel");
    this.title = byId("panel-title");
    this.body = byId("panel-body");
    this.shown = null;
    this.back = null;
    byId("panel-close").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.shown || document.querySelector("dialog:modal")) return;
      event.preventDefault();
      this.close();
    });
  }

  /** Show `view`, which has `title`, `node`, and if it follows what happens, `refresh()`. */
  show(view) {
    if (!this.shown) this.back = document.activeElement;
    this.shown = view;
    this.title.textContent = view.title;
    this.body.replaceChildren(view.node);
    if (!this.box.open) this.box.show();
    document.documentElement.classList.add("has-panel");
    this.body.scrollTop = 0;
    (view.first || this.title).focus({ preventScroll: true });
  }

  close() {
    if (!this.shown) return;
    const hasFocus = this.box.contains(document.activeElement);
    this.shown = null;
    this.box.close();
    document.documentElement.classList.remove("has-panel");
    this.body.replaceChildren();
    if (hasFocus && this.back && this.back.isConnected) this.back.focus({ preventScroll: true });
  }

  refresh() {
    if (this.shown && this.shown.refresh) this.shown.refresh();
  }
}
