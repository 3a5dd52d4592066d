// A timeline: health over time, by height as well as by colour.

import { el, svg } from "./dom.js";
import { stretches } from "./history.js";
import { span } from "./times.js";

const WIDTH = 120;
const HEIGHT = 18;
const THINNEST = 1.5;

const HEIGHTS = { UP: 6, DOWN: 16, UNKNOWN: 2 };

/** The strip of one member over the last `window` milliseconds up to `end`. */
export function timeline(events, member, { end, window, known = 0 }) {
  const begin = end - window;
  const found = stretches(events, member, begin, end, known);
  const scale = WIDTH / window;
  const bar = ({ start, stop, health }) => {
    const wide = Math.max((stop - start) * scale, health === "UP" ? 0 : THINNEST);
    const high = HEIGHTS[health];
    return svg("rect", {
      class: health.toLowerCase(),
      x: Math.min((start - begin) * scale, WIDTH - wide).toFixed(2),
      y: (HEIGHT - high) / 2,
      width: wide.toFixed(2),
      height: high,
    });
  };
  // The bad ones above the good ones: the narrowest outage stays to be seen.
  const good = found.filter((part) => part.health === "UP");
  const bad = found.filter((part) => part.health !== "UP");
  return el(
    "span",
    { class: "strip", role: "img", "aria-label": words(found, window), title: words(found, window) },
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "ground", x: 0, y: HEIGHT / 2 - 0.5, width: WIDTH, height: 1 }),
      good.map(bar),
      bad.map(bar),
    ),
  );
}

function words(found, window) {
  const down = found.filter((part) => part.health === "DOWN");
  const time = down.reduce((sum, part) => sum + part.stop - part.start, 0);
  const last = `Last ${span(window)}: `;
  if (!found.length) return `${last}nothing is known`;
  if (!down.length) return `${last}never down`;
  return `${last}down ${down.length === 1 ? "once" : `${down.length} times`}, ${span(time)} in all`;
}
