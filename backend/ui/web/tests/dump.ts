// A trace's waterfall as text, as the page would draw it 40 characters wide.

import { formatDuration } from "../src/lib/format";
import { barOf, type Range, visibleRows } from "../src/lib/layout";
import { parseTrace } from "../src/lib/otlp";
import { serviceLabel, spanLabel } from "../src/lib/text";
import { buildTree, clockSkews, type Node, servicesOf, type Tree } from "../src/lib/tree";

const width = 40;

export function dump(
  resourceSpans: unknown,
  traceId: string,
  collapsed: ReadonlySet<string> = new Set(),
): string {
  const trace = parseTrace(resourceSpans, traceId);
  const tree = buildTree(trace);
  const lines = [
    `trace ${trace.traceId}`,
    `start ${trace.startNano}, duration ${formatDuration(trace.duration)}, ${trace.spans.length} spans, ${trace.duplicates} duplicates`,
    `services ${servicesOf(tree)
      .map((s) => `${serviceLabel(s.name)} ${s.spans}${s.errors ? ` (${s.errors} errors)` : ""}`)
      .join(", ")}`,
    `orphans ${tree.orphans}, cycles ${tree.cycles}`,
    ...clockSkews(tree).map(
      (s) =>
        `clock skew ${serviceLabel(s.parentService)} → ${serviceLabel(s.service)} at least ${formatDuration(s.atLeast)}, ${s.spans} spans`,
    ),
    "",
    ...rows(tree, collapsed, { from: 0, to: trace.duration }),
  ];
  return `${lines.join("\n")}\n`;
}

function rows(tree: Tree, collapsed: ReadonlySet<string>, range: Range): string[] {
  return visibleRows(tree, collapsed).map(
    (node) => `|${bar(node, range)}| ${"  ".repeat(node.depth)}${words(node)}`,
  );
}

function bar(node: Node, range: Range): string {
  const b = barOf(node.span.start, node.span.duration, range);
  if (!b) return " ".repeat(width);
  const from = Math.min(width - 1, Math.floor(b.left * width));
  const length = Math.max(1, Math.min(width - from, Math.round(b.width * width)));
  return (
    " ".repeat(from) +
    (node.span.status === "error" ? "!" : "=").repeat(length) +
    " ".repeat(width - from - length)
  );
}

function words({ span, promotion, selfTime, startsEarlyBy }: Node): string {
  const parts = [
    `${serviceLabel(span.resource.serviceName)} ${span.kind} ${JSON.stringify(spanLabel(span.name))}`,
    `+${formatDuration(span.start)} ${formatDuration(span.duration)} self ${formatDuration(selfTime)}`,
  ];
  if (span.status !== "unset")
    parts.push(`status ${span.status}${span.statusMessage ? ` ${JSON.stringify(span.statusMessage)}` : ""}`);
  if (promotion) parts.push(promotion);
  if (span.timeFault) parts.push(span.timeFault);
  if (startsEarlyBy > 0) parts.push(`${formatDuration(startsEarlyBy)} before its parent`);
  for (const e of span.events) parts.push(`event ${e.name} ${formatDuration(e.offset)}`);
  for (const l of span.links) parts.push(`link ${l.traceId}/${l.spanId}`);
  return parts.join(", ");
}
