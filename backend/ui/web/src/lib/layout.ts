// Where things stand in the waterfall: which rows are open, which of them are
// on the screen, where a bar begins and ends, and where the ruler has its ticks.
// All of it is arithmetic; the views only draw what comes out.

import { formatDuration } from "./format";
import type { Node, Tree } from "./tree";

/** The visible part of the trace, in nanoseconds from its start. */
export interface Range {
  from: number;
  to: number;
}

/**
 * The rows in order: all nodes but those below a collapsed one. With `only`,
 * just the nodes in it, and collapsed ones count as open.
 */
export function visibleRows(tree: Tree, collapsed: ReadonlySet<string>, only?: ReadonlySet<Node>): Node[] {
  if (only) return tree.nodes.filter((n) => only.has(n));
  if (collapsed.size === 0) return tree.nodes;
  const rows: Node[] = [];
  for (let i = 0; i < tree.nodes.length; ) {
    const node = tree.nodes[i] as Node;
    rows.push(node);
    i += collapsed.has(node.span.spanId) ? node.descendants + 1 : 1;
  }
  return rows;
}

/** The rows to draw for a scroll position, with some to spare on both sides. */
export function rowWindow(
  scrollTop: number,
  viewHeight: number,
  rowHeight: number,
  rows: number,
  spare = 8,
): { first: number; end: number } {
  const first = Math.max(0, Math.min(rows, Math.floor(scrollTop / rowHeight) - spare));
  const end = Math.max(first, Math.min(rows, Math.ceil((scrollTop + viewHeight) / rowHeight) + spare));
  return { first, end };
}

export interface Bar {
  /** Fractions of the visible range, 0 to 1. */
  left: number;
  width: number;
  /** The span goes on beyond the edge. */
  cutLeft: boolean;
  cutRight: boolean;
}

/** The bar of a span in the range; undefined when it is wholly outside. */
export function barOf(start: number, duration: number, range: Range): Bar | undefined {
  const length = range.to - range.from;
  const end = start + duration;
  if (length <= 0) return { left: 0, width: 1, cutLeft: false, cutRight: false };
  if (end < range.from || start > range.to) return undefined;
  const from = Math.max(start, range.from);
  const to = Math.min(end, range.to);
  return {
    left: (from - range.from) / length,
    width: (to - from) / length,
    cutLeft: start < range.from,
    cutRight: end > range.to,
  };
}

export interface Tick {
  /** Fraction of the range, 0 to 1. */
  at: number;
  label: string;
}

/** At most `most` ticks at round numbers (1, 2 or 5 times a power of ten). */
export function ticks(range: Range, most: number): Tick[] {
  const length = range.to - range.from;
  if (!(length > 0) || most < 1) return [{ at: 0, label: formatDuration(range.from) }];
  const rough = length / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10);
  const result: Tick[] = [];
  for (let i = Math.ceil(range.from / step); i * step <= range.to && result.length <= most; i++) {
    result.push({ at: (i * step - range.from) / length, label: formatDuration(i * step) });
  }
  return result;
}

// Below a microsecond there is nothing to see, and floats stay exact above it.
const shortest = 1_000;

/** Zooms by `factor` (< 1 is in) about the point at fraction `at`, within the trace. */
export function zoom(range: Range, factor: number, at: number, total: number): Range {
  const length = Math.min(total, Math.max(Math.min(shortest, total), (range.to - range.from) * factor));
  const focus = range.from + (range.to - range.from) * at;
  return fit({ from: focus - length * at, to: focus + length * (1 - at) }, total);
}

/** Moves the range by a fraction of its length, within the trace. */
export function pan(range: Range, fraction: number, total: number): Range {
  const by = (range.to - range.from) * fraction;
  return fit({ from: range.from + by, to: range.to + by }, total);
}

/** Moves, and if need be shortens, a range so that it lies within the trace. */
export function fit({ from, to }: Range, total: number): Range {
  const length = Math.min(to - from, total);
  const start = Math.max(0, Math.min(from, total - length));
  return { from: start, to: start + length };
}

/** Ids of the nodes to collapse so that rows deeper than `depth` are hidden. */
export function collapsedAt(tree: Tree, depth: number): Set<string> {
  const ids = new Set<string>();
  for (const node of tree.nodes) {
    if (node.depth >= depth && node.children.length > 0) ids.add(node.span.spanId);
  }
  return ids;
}

/** The depth of the deepest visible row. */
export function deepestRow(rows: Node[]): number {
  let depth = 0;
  for (const row of rows) depth = Math.max(depth, row.depth);
  return depth;
}
