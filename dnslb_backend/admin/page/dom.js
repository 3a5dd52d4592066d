// Elements, built without markup: whatever a text holds, it stays text.

const SVG = "http://www.w3.org/2000/svg";

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
