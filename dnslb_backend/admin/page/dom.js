// Elements, built without markup: whatever a text holds, it stays text.

const SVG = "http://www.w3.org/2000/svg";
// An IPv4 address always has room.
const SHORT = 15;
const TAIL = 10;

/** An element. `props` are attributes; `on` listeners, `data` the dataset; null ones are left out. */
export function el(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** As `el`, of SVG. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(node.dataset, value);
    } else if (name === "value") {
      node.value = value;
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else node.append(child);
  }
}

/** Set the text of a node where it differs: what has not changed is not painted again. */
export function say(node, text) {
  const words = String(text);
  if (node.textContent !== words) node.textContent = words;
}

export function byId(id) {
  return document.getElementById(id);
}

/** Text as it is, but with what has no shape of its own written out, so that it can be seen. */
export function visible(text) {
  return String(text).replace(
    // Controls, and marks that change the direction of the text around them.
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A text of which the end stays, where it is cut for want of room: addresses differ there. It is
 *  two pieces to a screen reader: the cell around it has a label. */
export function cutInside(text, props = {}) {
  const words = visible(text);
  if (words.length <= SHORT) return el("span", props, words);
  const ending = Math.min(TAIL, Math.floor(words.length / 2));
  return el(
    "span",
    { ...props, class: `cut ${props.class || ""}`, title: words },
    el("span", { class: "start" }, words.slice(0, words.length - ending)),
    el("span", { class: "end" }, words.slice(words.length - ending)),
  );
}
