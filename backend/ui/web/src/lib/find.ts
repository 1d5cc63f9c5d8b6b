// Finding spans in one trace. The words of a query must all occur in a span, in
// any order, upper or lower case; quotes hold words together. `key=value` looks
// at one attribute; `service:`, `name:`, `kind:`, `status:` and `id:` at one field.

import { type Attribute, attributesOf, type Span, textOf } from "./otlp";
import type { Node, Tree } from "./tree";

type Condition = (span: Span, text: () => string) => boolean;

const fields = new Map<string, (span: Span) => string>([
  ["service", (s) => s.resource.serviceName],
  ["name", (s) => s.name],
  ["kind", (s) => s.kind],
  ["status", (s) => s.status],
  ["id", (s) => s.spanId],
]);

function words(query: string): string[] {
  return (query.match(/(?:"[^"]*"?|[^\s"])+/gu) ?? [])
    .map((w) => w.replaceAll('"', ""))
    .filter((w) => w !== "");
}

function condition(word: string): Condition {
  const field = /^(\w+):(.+)$/u.exec(word);
  const read = fields.get(field?.[1]?.toLowerCase() ?? "");
  if (read) {
    const wanted = (field?.[2] ?? "").toLowerCase();
    return (span) => read(span).toLowerCase().includes(wanted);
  }
  const pair = /^([^=]+)=(.+)$/u.exec(word);
  const whole = word.toLowerCase();
  if (!pair) return (_, text) => text().includes(whole);
  const [, key = "", value = ""] = pair;
  const [wantedKey, wantedValue] = [key.toLowerCase(), value.toLowerCase()];
  const has = (attributes: Attribute[]): boolean =>
    attributes.some(
      (a) => a.key.toLowerCase() === wantedKey && textOf(a.value).toLowerCase().includes(wantedValue),
    );
  return (span, text) =>
    text().includes(whole) ||
    has(span.resource.attributes) ||
    // Taking attributes apart is slow, and few spans have both words at all.
    (text().includes(wantedValue) && text().includes(wantedKey) && has(attributesOf(span.rawAttributes)));
}

// The text of a span is what a person can see of it. Kept per span, because the
// query changes with each key stroke and the span does not.
const texts = new WeakMap<Span, string>();

function searchText(span: Span): string {
  const known = texts.get(span);
  if (known !== undefined) return known;
  const attributes = (list: Attribute[]): string[] => list.flatMap((a) => [a.key, textOf(a.value)]);
  const text = [
    span.name,
    span.resource.serviceName,
    span.kind,
    span.status === "unset" ? "" : span.status,
    span.statusMessage,
    span.spanId,
    span.scope.name,
    ...attributes(attributesOf(span.rawAttributes)),
    ...span.events.flatMap((e) => [e.name, ...attributes(e.attributes)]),
    ...span.links.flatMap((l) => [l.traceId, l.spanId]),
  ]
    .join("\n")
    .toLowerCase();
  texts.set(span, text);
  return text;
}

/** The matching nodes in the order of the waterfall; none for an empty query. */
export function findSpans(tree: Tree, query: string): Node[] {
  const conditions = words(query).map(condition);
  if (conditions.length === 0) return [];
  return tree.nodes.filter(({ span }) => conditions.every((fits) => fits(span, () => searchText(span))));
}

/** The matches with all their ancestors: the rows of "matches only". */
export function withAncestors(matches: Node[]): Set<Node> {
  const set = new Set<Node>();
  for (const match of matches) {
    for (let node: Node | undefined = match; node && !set.has(node); node = node.parent) set.add(node);
  }
  return set;
}

/** The match after (or, backwards, before) a row, going round at the ends. */
export function nextMatch(matches: Node[], from: number, backwards: boolean): Node | undefined {
  return backwards
    ? (matches.findLast((m) => m.index < from) ?? matches.at(-1))
    : (matches.find((m) => m.index > from) ?? matches[0]);
}
