// Asking for the token, when something wants one.

import { get, setToken, token, Refusal } from "./api.js";
import { byId, say } from "./dom.js";

export class TokenDialog {
  /** `changed` is called whenever there is another token, or none any more. */
  constructor(changed) {
    this.box = byId("token-dialog");
    this.input = byId("token-input");
    this.said = byId("token-said");
    this.changed = changed;
    this.settle = null;
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.use(this.input.value.trim());
    });
    byId("token-cancel").addEventListener("click", () => this.box.close());
    byId("token-forget").addEventListener("click", () => {
      setToken("");
      this.box.close();
      this.changed();
    });
    this.box.addEventListener("close", () => this.done(false));
    this.show();
  }

  /** Ask for a token, and say why; true once one was taken that may read, false if there is none. */
  ask(why) {
    this.done(false);
    this.input.value = "";
    say(byId("token-why"), why);
    say(this.said, "");
    byId("token-forget").hidden = !token();
    if (!this.box.open) this.box.showModal();
    this.input.focus();
    return new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  async use(text) {
    if (!text) {
      say(this.said, "Enter a token, or cancel.");
      return;
    }
    if (!/^[\x21-\x7e]+$/.test(text)) {
      say(this.said, "A token has no spaces, and only plain characters.");
      return;
    }
    const before = token();
    setToken(text);
    try {
      await get("api/v1/overrides");
    } catch (error) {
      if (error instanceof Refusal && error.isAboutToken) {
        setToken(before);
        say(this.said, "The daemon does not know this token.");
        return;
      }
      // It does not answer: whether the token is good will be seen.
    }
    this.done(true);
    this.box.close();
    this.changed();
  }

  done(isTaken) {
    const { settle } = this;
    this.settle = null;
    if (settle) settle(isTaken);
    this.show();
  }

  show() {
    say(byId("open-token"), token() ? "Token: set" : "Token");
  }

  /** Do something that may want a token: where it is refused for that, ask, and try once more. */
  async with(attempt, why) {
    if (!token() && !(await this.ask(why))) throw new Refusal(401, "No token was given.");
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 401) throw error;
      setToken("");
      const isTaken = await this.ask("The daemon does not know this token any more.");
      if (!isTaken) throw new Refusal(401, "No token was given.");
      return attempt();
    }
  }
}
