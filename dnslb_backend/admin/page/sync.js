// Keeping the model true: the stream says what happens, and what it means is asked for.
//
// Whenever the stream is opened again, everything is loaded again, with what was missed. While the
// daemon cannot be reached, what is shown stays, and is marked as old.

import { get, lines, readiness, Refusal } from "./api.js";
import { listen } from "./stream.js";
import { setClock } from "./times.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10000;
// Names that one question may hold, and characters.
const NAMES = 1000;
// So many records that changed at once are asked for one by one; more are asked for as a whole.
const MANY = 400;
const LOOK = 2000;
const NODE_LOOK = 3000;
// So many times as long as it takes to count all votes passes before they are counted again.
const FLEET_REST = 20;
const WHOLE = 60000;
const REDRAW = 200;

/** Until the next frame is painted; a hidden window may paint none. */
function frame() {
  if (document.hidden) return null;
  return new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
    setTimeout(resolve, REDRAW);
  });
}

export class Sync {
  /** `view` is called: `changed()`, `happened(event)`, `state(state, error, pause)`,
   *  `node(readiness)`, `fleet(nodes)`, `inSight()` returns the entries in sight. */
  constructor(model, transitions, view) {
    this.model = model;
    this.transitions = transitions;
    this.view = view;
    this.dirty = new Set();
    this.missed = new Set();
    this.isFlushing = false;
    this.isLoading = false;
    this.isLive = false;
    this.asked = 0;
    this.fleetDue = 0;
    this.hasFleet = false;
    this.pause = FIRST_PAUSE;
    this.wake = () => {};
    this.cut = new AbortController();
    setInterval(() => this.look(), LOOK);
    setInterval(() => this.lookAtNode(), NODE_LOOK);
    setInterval(() => this.isLive && this.load().catch(() => {}), WHOLE);
    addEventListener("online", () => this.again());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && !this.isLive) this.again();
    });
  }

  /** Listen until the page is closed; a stream that ends is opened again. */
  async run() {
    for (;;) {
      this.cut = new AbortController();
      let error;
      try {
        await this.session(this.cut.signal);
      } catch (caught) {
        if (!(caught instanceof Refusal)) console.error(caught);
        error = caught instanceof Refusal ? caught : new Refusal(0, "The response of the daemon cannot be read.");
      }
      this.isLive = false;
      const pause = this.pause * (0.75 + Math.random() / 2);
      this.view.state("lost", error, pause);
      await this.rest(pause);
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    }
  }

  /** Retry at once; also with another token. */
  again() {
    this.pause = FIRST_PAUSE;
    this.cut.abort();
    this.wake();
  }

  async session(signal) {
    let failed;
    const failing = new Promise((_, reject) => {
      failed = reject;
    });
    const streaming = listen(
      (kind, data) => this.received(kind, data),
      () => this.opened().catch(failed),
      signal,
    );
    await Promise.race([streaming, failing]).finally(() => this.cut.abort());
  }

  async opened() {
    await this.load();
    this.pause = FIRST_PAUSE;
    this.isLive = true;
    this.view.state("live");
    this.lookAtNode();
    await Promise.allSettled([this.transitions.load(this.model.node.node), this.loadOverrides()]);
    this.view.changed();
    this.flush();
  }

  rest(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  received(kind, data) {
    if (kind === "transition") {
      this.transitions.add(data);
      this.model.apply(data);
      this.view.happened(data);
      this.view.changed();
      this.ask([data.name]);
    } else if (kind === "overrides") {
      this.followOverrides();
    } else if (kind === "reload" || kind === "lost") {
      this.load().catch(() => {});
    }
  }

  // -- asking -------------------------------------------------------------------------------

  /** The whole status, one at a time: a caller waits for the one under way, or the next. */
  load() {
    if (this.isLoading) {
      this.another = this.another || this.loading.then(() => this.loadNow(), () => this.loadNow());
      return this.another;
    }
    return this.loadNow();
  }

  loadNow() {
    this.another = null;
    this.isLoading = true;
    let drawn = -REDRAW;
    this.loading = this.inBatches([], (batch, isFirst) => {
      if (isFirst) {
        const head = batch.shift();
        setClock(head.time);
        this.model.begin(head);
      }
      for (const line of batch) this.model.add(line);
      if (this.model.isWhole || !batch.length || performance.now() - drawn < REDRAW) return null;
      // The first rows are painted before anything else is read, and then it is drawn only now
      // and again: each holds up the other.
      const isBegin = drawn < 0;
      drawn = performance.now();
      this.view.changed();
      return isBegin ? frame() : null;
    })
      .then(() => {
        this.model.finish();
        this.view.changed();
      })
      .finally(() => {
        this.isLoading = false;
        const { missed } = this;
        this.missed = new Set();
        this.ask(missed);
      });
    return this.loading;
  }

  async inBatches(names, each) {
    let isFirst = true;
    await lines(names, (batch) => {
      const done = each(batch, isFirst);
      isFirst = false;
      return done;
    });
  }

  /** Ask for these names soon, together with what else is to be asked for. */
  ask(names) {
    for (const name of names) this.dirty.add(name);
    if (this.isLive && !this.isFlushing && this.dirty.size) {
      this.isFlushing = true;
      setTimeout(() => this.flush(), 20);
    }
  }

  async flush() {
    this.isFlushing = true;
    try {
      while (this.dirty.size && this.isLive) {
        if (this.dirty.size > MANY) {
          this.dirty.clear();
          await this.load();
        } else {
          await this.patch(this.take());
        }
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // The stream will fail as well, and show it.
    } finally {
      this.isFlushing = false;
    }
  }

  /** As many of the names as one request takes. */
  take() {
    const names = [];
    let size = 0;
    for (const name of this.dirty) {
      // It is sent with a final dot, and a space.
      size += name.length + 2;
      if (size > NAMES && names.length) break;
      names.push(name);
      this.dirty.delete(name);
    }
    return names;
  }

  async patch(names) {
    const found = [];
    await this.inBatches(names, (batch, isFirst) => {
      if (isFirst) {
        const head = batch.shift();
        setClock(head.time);
        Object.assign(this.model.node, { ready: head.ready, time: head.time });
      }
      found.push(...batch);
    });
    if (this.isLoading) {
      // What is being loaded may be older than this: they are loaded once more then.
      for (const name of names) this.missed.add(name);
      return;
    }
    this.model.patch(names, found);
    this.view.changed();
  }

  /** Refresh what is in sight: checks that change nothing are no events. */
  look() {
    if (!this.isLive || document.hidden || this.isLoading) return;
    const old = performance.now() - LOOK * 0.9;
    const names = this.view.inSight().filter((entry) => entry.at < old).map((entry) => entry.record.name);
    this.ask(names);
  }

  async lookAtNode() {
    if (!this.isLive || document.hidden) return;
    try {
      const report = await readiness();
      this.view.node(report);
      if (report.details?.quorum || this.hasFleet) await this.lookAtFleet();
    } catch {
      this.view.node(null);
    }
  }

  /** The nodes that decide together, as long as there are any. */
  async lookAtFleet() {
    const began = performance.now();
    if (began < this.fleetDue) return;
    const report = await get("api/v1/nodes");
    this.hasFleet = report.quorum;
    this.fleetDue = performance.now() + FLEET_REST * (performance.now() - began);
    this.view.fleet(report);
  }

  /** Overrides have changed: load them, and the records that they are about. */
  async followOverrides() {
    try {
      const moved = await this.loadOverrides();
      if (!moved) return;
      if (moved.length) this.ask(this.namesOf(moved));
      else await this.load();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }

  /** Load the overrides of this node; returns those that are new, begin, or are gone, and null
   *  where they were asked for again meanwhile. */
  async loadOverrides() {
    const asked = (this.asked += 1);
    const report = await get("api/v1/overrides");
    if (asked !== this.asked) return null;
    const before = new Map(this.model.overrides.map((override) => [override.id, override]));
    this.model.setOverrides(report.overrides.filter(({ node }) => !node || node === report.node));
    const fresh = new Map(this.model.overrides.map((override) => [override.id, override]));
    return [
      ...[...fresh.values()].filter((override) => before.get(override.id)?.pending !== override.pending),
      ...[...before.values()].filter((override) => !fresh.has(override.id)),
    ];
  }

  namesOf(overrides) {
    const names = new Set();
    for (const { record, members } of this.model.order) {
      if (overrides.some(({ isFor }) => members.some(isFor))) names.add(record.name);
    }
    return names;
  }
}
