// Requests to the daemon. Addresses are relative, so that a proxy may serve the page below a path.

const KEY = "dnslb-token";
const TIMEOUT = 15000;

/** The daemon refused, with its message. `status` 0: it did not answer. */
export class Refusal extends Error {
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }

  /** Whether the token is missing, wrong, or not good for this. */
  get isAboutToken() {
    return this.status === 401 || this.status === 403;
  }
}

let inMemory = "";

/** The token of this tab; it is gone when the tab is. */
export function token() {
  try {
    return sessionStorage.getItem(KEY) || inMemory;
  } catch {
    return inMemory;
  }
}

export function setToken(text) {
  inMemory = text;
  try {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
  } catch {
    // No storage: it is kept for as long as the page is open.
  }
}

/** A response that is fine; raises Refusal. Its first byte comes within `patience` ms, or never.
 *  Statuses of `also` are as good as fine. */
export async function open(path, { signal = null, also = [], patience = TIMEOUT, ...options } = {}) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), patience);
  if (signal) signal.addEventListener("abort", () => limit.abort(), { once: true });
  const headers = { ...options.headers };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  let response;
  try {
    response = await fetch(path, {
      ...options,
      headers,
      signal: limit.signal,
      cache: "no-store",
      // The daemon reads no cookie; a proxy in front of it may want its own.
      credentials: "same-origin",
      redirect: "error",
    });
  } catch {
    throw new Refusal(0, "The daemon does not answer.");
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok && !also.includes(response.status)) throw await refusal(response);
  return response;
}

async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // It may be the response of a proxy.
  }
  const detail = problem.detail || problem.title || `${response.status} ${response.statusText}`;
  return new Refusal(response.status, String(detail), problem.errors || []);
}

function query(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** The JSON at a path. */
export async function get(path, values = {}) {
  return read(await open(query(path, values)));
}

export async function post(path, body, patience = TIMEOUT) {
  const headers = { "Content-Type": "application/json" };
  return read(await open(path, { method: "POST", headers, body: JSON.stringify(body), patience }));
}

export async function remove(path, values) {
  return read(await open(query(path, values), { method: "DELETE" }));
}

async function read(response) {
  try {
    return await response.json();
  } catch {
    throw new Refusal(0, "The response of the daemon was cut off.");
  }
}

/** The report of /readyz, also while the node is not ready. */
export async function readiness() {
  return read(await open("readyz", { also: [503] }));
}

/** Call `each` with every line of a status, parsed, in the batches in which they come. The next
 *  one is not read before it has ended. A name that is no longer configured has no line. */
export async function lines(names, each) {
  const response = await open(query("api/v1/status/lines", { name: names.map((name) => `${name}.`).join(" ") }));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await step(reader);
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    if (parts.length) await each(parts.map((part) => JSON.parse(part)));
  }
  if (rest) throw new Refusal(0, "The response of the daemon was cut off.");
}

/** The next piece of a body; Refusal where it ends before its time, or nothing comes for
 *  `within` milliseconds. */
export async function step(reader, within = TIMEOUT) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(reject, within);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch {
    reader.cancel().catch(() => {});
    throw new Refusal(0, "The connection to the daemon was cut.");
  } finally {
    clearTimeout(timer);
  }
}
