// Arranges the spans of a trace as a forest. Spans come in any order and may
// lack parents or name each other as parents; each span has exactly one place:
//
// - a span whose parent has not arrived (an orphan) is a root of its own;
// - of the spans of a parent cycle the earliest becomes a root.
//
// Children are ordered by start time, then by span id, so that the picture does
// not depend on the order of arrival. Nothing here recurses: a trace may be as
// deep as it has spans.

import type { Span, Trace } from "./otlp";

/** Why a span that names a parent stands without one. */
export type Promotion = "orphan" | "cycle";

export interface Node {
  span: Span;
  parent: Node | undefined;
  children: Node[];
  depth: number;
  /** Position in Tree.nodes. */
  index: number;
  /** Spans below this one; they follow it in Tree.nodes. */
  descendants: number;
  /** Spans with the status error among the descendants. */
  errorsBelow: number;
  /** Nanoseconds in which no child was running. */
  selfTime: number;
  promotion: Promotion | undefined;
  /** Nanoseconds by which it starts before its parent; 0 when it does not. */
  startsEarlyBy: number;
}

export interface Tree {
  roots: Node[];
  /** All nodes, parents before children: the rows of the waterfall. */
  nodes: Node[];
  bySpanId: Map<string, Node>;
  orphans: number;
  cycles: number;
  /** The largest depth, 0 for a trace of roots only. */
  depth: number;
}

export function buildTree(trace: Trace): Tree {
  const bySpanId = new Map<string, Node>();
  const all: Node[] = trace.spans.map((span) => {
    const node: Node = {
      span,
      parent: undefined,
      children: [],
      depth: 0,
      index: -1,
      descendants: 0,
      errorsBelow: 0,
      selfTime: 0,
      promotion: undefined,
      startsEarlyBy: 0,
    };
    if (span.spanId) bySpanId.set(span.spanId, node);
    return node;
  });

  const roots: Node[] = [];
  for (const node of all) {
    const parentId = node.span.parentSpanId;
    const parent = parentId ? bySpanId.get(parentId) : undefined;
    if (parent) {
      node.parent = parent;
    } else {
      if (parentId) node.promotion = "orphan";
      roots.push(node);
    }
  }
  const cycles = breakCycles(all, roots);
  for (const node of all) node.parent?.children.push(node);

  roots.sort(byStart);
  const nodes = flatten(roots);
  let depth = 0;
  for (const node of nodes) depth = Math.max(depth, node.depth);
  for (let i = nodes.length - 1; i >= 0; i--) finish(nodes[i] as Node);
  return {
    roots,
    nodes,
    bySpanId,
    orphans: roots.filter((n) => n.promotion === "orphan").length,
    cycles,
    depth,
  };
}

/** Cuts each parent cycle above its earliest span; returns the number of cycles. */
function breakCycles(all: Node[], roots: Node[]): number {
  // 0 is unknown, 1 on the current path, 2 known to end at a root.
  const state = new Map<Node, 1 | 2>();
  let cycles = 0;
  for (const start of all) {
    const path: Node[] = [];
    let node: Node | undefined = start;
    while (node && !state.has(node)) {
      state.set(node, 1);
      path.push(node);
      node = node.parent;
    }
    if (node && state.get(node) === 1) {
      const cycle = path.slice(path.indexOf(node));
      const first = cycle.reduce((a, b) => (byStart(a, b) <= 0 ? a : b));
      first.parent = undefined;
      first.promotion = "cycle";
      roots.push(first);
      cycles++;
    }
    for (const n of path) state.set(n, 2);
  }
  return cycles;
}

function byStart(a: Node, b: Node): number {
  return a.span.start - b.span.start || (a.span.spanId < b.span.spanId ? -1 : 1);
}

function flatten(roots: Node[]): Node[] {
  const nodes: Node[] = [];
  const stack = roots.slice().reverse();
  for (let node = stack.pop(); node; node = stack.pop()) {
    node.index = nodes.length;
    nodes.push(node);
    node.children.sort(byStart);
    for (let i = node.children.length - 1; i >= 0; i--) {
      const child = node.children[i] as Node;
      child.depth = node.depth + 1;
      stack.push(child);
    }
  }
  return nodes;
}

/** Fills in what depends on the children, which are finished before their parent. */
function finish(node: Node): void {
  const { start, duration } = node.span;
  const end = start + duration;
  let covered = 0;
  let reached = start;
  for (const child of node.children) {
    node.descendants += child.descendants + 1;
    node.errorsBelow += child.errorsBelow + (child.span.status === "error" ? 1 : 0);
    const from = Math.max(child.span.start, reached);
    const to = Math.min(child.span.start + child.span.duration, end);
    if (to > from) {
      covered += to - from;
      reached = to;
    }
    if (!child.span.timeFault && child.span.start < start) child.startsEarlyBy = start - child.span.start;
  }
  node.selfTime = duration - covered;
}

/** One side of a pair of services whose clocks contradict each other. */
export interface ClockSkew {
  service: string;
  parentService: string;
  /** Spans of `service` that start before their parent in `parentService`. */
  spans: number;
  /** The largest contradiction, in nanoseconds: the clocks differ by at least this. */
  atLeast: number;
}

/**
 * Clock skew is claimed only where cause would follow effect: a span that starts
 * before its parent, and comes from another resource. Ending after the parent is
 * no sign of it, since a span may outlive the one that started it.
 */
export function clockSkews(tree: Tree): ClockSkew[] {
  const skews = new Map<string, ClockSkew>();
  for (const { span, parent, startsEarlyBy } of tree.nodes) {
    if (!parent || startsEarlyBy === 0 || parent.span.resource === span.resource) continue;
    const service = span.resource.serviceName;
    const parentService = parent.span.resource.serviceName;
    const key = JSON.stringify([service, parentService]);
    const skew = skews.get(key) ?? { service, parentService, spans: 0, atLeast: 0 };
    skew.spans++;
    skew.atLeast = Math.max(skew.atLeast, startsEarlyBy);
    skews.set(key, skew);
  }
  return [...skews.values()];
}

export interface ServiceCount {
  name: string;
  spans: number;
  errors: number;
}

/** The services of a trace in the order of the waterfall. */
export function servicesOf(tree: Tree): ServiceCount[] {
  const services = new Map<string, ServiceCount>();
  for (const { span } of tree.nodes) {
    const name = span.resource.serviceName;
    const service = services.get(name) ?? { name, spans: 0, errors: 0 };
    service.spans++;
    if (span.status === "error") service.errors++;
    services.set(name, service);
  }
  return [...services.values()];
}
