// Which members an override is for, as the daemon matches them.

/** The labels of a member, as they are written. */
export function labelsOf(member) {
  return Object.entries(member.labels).map(([key, value]) => `${key}=${value}`);
}

/** Whether a text is a label or a glob over labels: no address or host name has a "=" in it. */
export function isLabel(text) {
  return text.includes("=");
}

/** A glob as the shell knows it, over whole texts. */
export function globOf(text) {
  const parts = text.split(/(\*|\?|\[!?\]?[^\]]*\])/);
  const signs = { "*": "[^]*", "?": "[^]" };
  const pattern = parts.map((part) => {
    if (part in signs) return signs[part];
    if (part.length > 1 && part.startsWith("[") && part.endsWith("]")) return `[${within(part)}]`;
    return part.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  });
  try {
    return new RegExp(`^${pattern.join("")}$`);
  } catch {
    // A range that runs backwards has nothing in it.
    return /[]/;
  }
}

function within(part) {
  const signs = part.slice(1, -1).replace(/[\\\]^]/g, "\\$&");
  return signs.startsWith("!") ? `^${signs.slice(1)}` : signs;
}

/** Tells of a member whether `override` is for it, in force or pending. */
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
