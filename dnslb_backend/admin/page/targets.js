// Which members an override is for, as the daemon matches them.

/** The labels of a member, as they are written. */
export function labelsOf(member) {
  return Object.entries(member.labels).map(([key, value]) => `${key}=${value}`);
}

/** Whether a text is a label or a glob over labels: no address or host name has a "=" in it. */
export function isLabel(text) {
  return text.includes("=");
}

/** A glob as the shell knows it, over whole texts. Each part between two stars is found where it is
 *  first, and nowhere else is looked: no glob takes long. */
export function globOf(text) {
  const parts = [""];
  for (const [token] of text.matchAll(/\*+|\[!?\]?[^\]]*\]|[^]/g)) {
    if (token.startsWith("*")) parts.push("");
    else parts[parts.length - 1] += patternOf(token);
  }
  const last = parts.length > 1 ? `[^]*${parts.pop()}` : "";
  const [first, ...others] = parts;
  const found = others.map((part, index) => `(?=(?<g${index}>[^]*?${part}))\\k<g${index}>`);
  try {
    return new RegExp(`^${first}${found.join("")}${last}$`);
  } catch {
    // A range that runs backwards has nothing in it.
    return /[]/;
  }
}

function patternOf(token) {
  if (token === "?") return "[^]";
  if (token.length === 1) return token.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
  const signs = token.slice(1, -1).replace(/[\\\]^[]/g, "\\$&");
  return `[${signs.startsWith("!") ? `^${signs.slice(1)}` : signs}]`;
}

/** Whether `override` is for a member, in force or pending. */
export function matcher({ target, name }) {
  const glob = /[*?[]/.test(target) ? globOf(target) : null;
  const isMeant = glob
    ? (alias) => (isLabel(target) || !isLabel(alias)) && glob.test(alias)
    : (alias) => alias === target;
  return (member) => (!name || name === member.name) && !member.fallback && aliases(member).some(isMeant);
}

function aliases(member) {
  const host = member.dest.toLowerCase().replace(/\.$/, "");
  return [member.address, member.content, host, ...labelsOf(member)];
}
