// Reads a saved record with Automerge's JavaScript library and prints what stands in it, as one line of JSON:
// `node read.mjs FILE`. Keys and heads are sorted by bytes, values by their JSON.
//
// Invariant: whatever is not a flat map of texts, true and null ends it with an error. Knows nothing of our rules.

import { readFileSync } from "node:fs";

import { getConflicts, getHeads, isImmutableString, load } from "@automerge/automerge";

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const byJson = (a, b) => byBytes(JSON.stringify(a), JSON.stringify(b));

/** A scalar; a bare JavaScript string would be Automerge's Text, an object of its own. */
function scalar(key, value) {
  if (isImmutableString(value)) return value.val;
  if (value === true || value === null) return value;
  throw new Error(`${key} is not a scalar: ${typeof value}`);
}

/** The values on which writers disagree; equal ones are one. `getConflicts` gives texts as bare strings. */
function disagreement(doc, key) {
  const standing = Object.values(getConflicts(doc, key) ?? {});
  return [...new Set(standing.map((value) => (isImmutableString(value) ? value.val : value)))].sort(byJson);
}

const doc = load(new Uint8Array(readFileSync(process.argv[2])));
const keys = Object.keys(doc).sort(byBytes);
const values = Object.fromEntries(keys.map((key) => [key, scalar(key, doc[key])]));
const disputed = keys.map((key) => [key, disagreement(doc, key)]).filter(([, standing]) => standing.length > 1);
const heads = getHeads(doc).sort(byBytes);

console.log(JSON.stringify({ heads, keys, values, conflicts: Object.fromEntries(disputed) }));
