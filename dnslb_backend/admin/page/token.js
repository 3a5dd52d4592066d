// The dialog that asks for a token.

import { get, setToken, token, Refusal } from "./api.js";
import { byId, say } from "./dom.js";

export class TokenDialog {
  /** `changed` is called whenever there is another token, or none any more. */
  constructor(changed) {
    this.box = byId("token-dialog");
    this.input = byId("token-input");
    this.message = byId("token-message");
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

  /** Ask for a token, with the reason; true once one is accepted, false if there is none. */
  ask(why) {
    this.done(false);
    this.input.value = "";
    say(byId("token-why"), why);
    say(this.message, "");
    byId("token-forget").hidden = !token();
    if (!this.box.open) this.box.showModal();
    this.input.focus();
    return new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  async use(text) {
    if (!text) {
      say(this.message, "Enter a token, or cancel.");
      return;
    }
    if (!/^[\x21-\x7e]+$/.test(text)) {
      say(this.message, "A token has no spaces, only ASCII characters.");
      return;
    }
    const before = token();
    setToken(text);
    try {
      await get("api/v1/overrides");
    } catch (error) {
      if (error instanceof Refusal && error.isAboutToken) {
        setToken(before);
        say(this.message, "The daemon does not accept this token.");
        return;
      }
      // It does not answer: whether the token is valid is not known yet.
    }
    this.done(true);
    this.box.close();
    this.changed();
  }

  done(isAccepted) {
    const { settle } = this;
    this.settle = null;
    if (settle) settle(isAccepted);
    this.show();
  }

  show() {
    say(byId("open-token"), token() ? "Token: set" : "Token");
  }

  /** Do something that may need a token: where it is refused for that, ask, and retry once. */
  async with(attempt, why) {
    if (!token() && !(await this.ask(why))) throw new Refusal(401, "No token was given.");
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 401) throw error;
      setToken("");
      const isAccepted = await this.ask("The daemon no longer accepts this token.");
      if (!isAccepted) throw new Refusal(401, "No token was given.");
      return attempt();
    }
  }
}
