// How serious the state of a record is, in the order of `dnslb-backend status`.

/** From the worst on; the words are the headings of the list. */
const SERVICES = {
  SERVFAIL: "SERVFAIL",
  pending: "Pending",
  "no answer": "No answer",
  fallback: "Fallback",
  "serving DOWN members": "Serving DOWN members",
  panic: "Panic",
};

const ORDER = Object.keys(SERVICES);

export const HEADINGS = [...Object.values(SERVICES), "Degraded", "Overridden"];

const DEGRADED = ORDER.length;
export const OVERRIDDEN = DEGRADED + 1;

/** Of a record of which nothing is wrong; 0 is the worst. */
export const FINE = HEADINGS.length;

/** How serious the state of a record is; found again only when the record has changed. */
export function severity(entry) {
  const { rank } = entry;
  if (rank && rank.version === entry.version) return rank.value;
  entry.rank = { version: entry.version, value: judge(entry.record, entry.members) };
  return entry.rank.value;
}

function judge(record, members) {
  if (record.service !== "serving") return Math.max(ORDER.indexOf(record.service), 0);
  if (isRecordTroubled(record)) return DEGRADED;
  if (members.some((member) => !member.override && isTroubled(member))) return DEGRADED;
  return members.some((member) => member.override) ? OVERRIDDEN : FINE;
}

/** Whether a record is a problem, whatever its members are. */
export function isRecordTroubled(record) {
  return record.service !== "serving" || record.held || record.hosts.some(isUnresolved);
}

/** Whether this member is a problem. */
export function isTroubled(member) {
  return (
    member.effective !== "UP" ||
    member.stale ||
    member.flapping ||
    member.waiting ||
    member.fallback ||
    Boolean(member.override) ||
    member.result_code === -3
  );
}

export function isUnresolved(host) {
  return host.overdue || host.resolution === "failed" || host.resolution === "nxdomain";
}
