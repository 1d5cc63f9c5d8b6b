// One open trace: loaded, kept up to date while it grows, and what of it is
// collapsed, selected, found and zoomed to.

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { ApiError, getTrace } from "../api/client";
import { rowOf } from "../api/rows";
import { findSpans, withAncestors } from "../lib/find";
import { type Range, visibleRows } from "../lib/layout";
import { parseTrace, type Trace } from "../lib/otlp";
import type { TraceRow } from "../lib/trace-rows";
import {
  buildTree,
  type ClockSkew,
  clockSkews,
  type Node,
  type ServiceCount,
  servicesOf,
  type Tree,
} from "../lib/tree";
import { clock, clockOffset, follow, noteServerTime } from "./server";

export interface Loaded {
  trace: Trace;
  tree: Tree;
  summary: TraceRow;
  services: ServiceCount[];
  skews: ClockSkew[];
}

/** A trace that got a span within this time is said to be still arriving. */
const quietMillis = 3_000;

/** Finding among this many spans takes longer than a key stroke should. */
const manySpans = 5_000;

export class TracePage {
  readonly loaded = signal<Loaded | undefined>(undefined);
  /** "missing": the server has no such trace; what was loaded before stays. */
  readonly phase = signal<"loading" | "ready" | "missing" | "failed">("loading");
  readonly problem = signal("");
  readonly collapsed: Signal<ReadonlySet<string>> = signal(new Set<string>());
  /** Id of the span whose details are open. */
  readonly selected = signal("");
  /** Id of the span that keys act on. */
  readonly cursor = signal("");
  readonly range = signal<Range | undefined>(undefined);
  /** What is typed into Find. */
  readonly query = signal("");
  /** What is looked for: the same, but in a large trace only once the typing rests. */
  readonly asked = signal("");
  readonly onlyMatches = signal(false);
  private readonly lastGrown = signal(0);

  readonly matches: ReadonlySignal<Node[]> = computed(() => {
    const loaded = this.loaded.value;
    return loaded ? findSpans(loaded.tree, this.asked.value) : [];
  });
  readonly matchSet: ReadonlySignal<ReadonlySet<Node>> = computed(() => new Set(this.matches.value));
  readonly rows: ReadonlySignal<Node[]> = computed(() => {
    const loaded = this.loaded.value;
    if (!loaded) return [];
    const only = this.onlyMatches.value && this.asked.value.trim() !== "";
    return visibleRows(
      loaded.tree,
      this.collapsed.value,
      only ? withAncestors(this.matches.value) : undefined,
    );
  });
  readonly visibleRange: ReadonlySignal<Range> = computed(
    () => this.range.value ?? { from: 0, to: this.loaded.value?.trace.duration ?? 0 },
  );
  readonly arriving: ReadonlySignal<boolean> = computed(
    () => clock.value - this.lastGrown.value < quietMillis,
  );

  private request: AbortController | undefined;
  private timer: number | undefined;
  private cost = 0;
  private startedAt = 0;
  private stale = false;
  private typing: number | undefined;
  private readonly unwatch: () => void;
  private readonly unfollow: () => void;
  private readonly fallback: number;

  constructor(readonly traceId: string) {
    this.unwatch = this.query.subscribe((query) => {
      window.clearTimeout(this.typing);
      const spans = this.loaded.peek()?.tree.nodes.length ?? 0;
      if (spans < manySpans || query === "") this.asked.value = query;
      else {
        this.typing = window.setTimeout(() => {
          this.asked.value = query;
        }, 200);
      }
    });
    this.fallback = window.setTimeout(() => this.reload(), 1_500);
    this.unfollow = follow(new URLSearchParams(), {
      open: () => {
        window.clearTimeout(this.fallback);
        this.reload();
      },
      trace: (summary) => {
        if (summary.traceId === (this.loaded.value?.summary.traceId ?? canonical(this.traceId)))
          this.reload();
      },
      reset: () => this.reload(),
    });
  }

  close(): void {
    window.clearTimeout(this.fallback);
    window.clearTimeout(this.timer);
    this.request?.abort();
    this.request = undefined;
    window.clearTimeout(this.typing);
    this.unwatch();
    this.unfollow();
  }

  /** Loads soon: at once when idle, else so that loading takes at most a third of the time. */
  private reload(): void {
    if (this.request) {
      this.stale = true;
      return;
    }
    if (this.timer !== undefined) return;
    const wait = Math.max(0, this.startedAt + Math.max(150, 3 * this.cost) - performance.now());
    this.timer = window.setTimeout(() => {
      this.timer = undefined;
      void this.load();
    }, wait);
  }

  private async load(): Promise<void> {
    const mine = new AbortController();
    this.request = mine;
    this.stale = false;
    this.startedAt = performance.now();
    try {
      const { body, serverMillis } = await getTrace(this.traceId, mine.signal);
      if (this.request !== mine) return;
      // A large trace takes a second in all; between the steps the page may breathe.
      const breathe = (): Promise<void> =>
        new Promise((done) => window.setTimeout(done, body.trace.spanCount > manySpans ? 1 : 0));
      await breathe();
      const trace = parseTrace(body.resourceSpans);
      await breathe();
      const tree = buildTree(trace);
      if (this.request !== mine) return;
      const summary = rowOf(body.trace);
      batch(() => {
        noteServerTime(serverMillis);
        this.loaded.value = { trace, tree, summary, services: servicesOf(tree), skews: clockSkews(tree) };
        this.phase.value = "ready";
        this.lastGrown.value = Number(summary.lastReceivedNano / 1_000_000n) - clockOffset.value;
        clock.value = Date.now();
      });
    } catch (err) {
      if (this.request !== mine) return;
      const missing = err instanceof ApiError && err.code === "not_found";
      this.phase.value = missing ? "missing" : "failed";
      this.problem.value = err instanceof ApiError ? err.message : String(err);
    }
    this.cost = performance.now() - this.startedAt;
    this.request = undefined;
    if (this.stale) this.reload();
  }

  /** The node that keys act on: where the cursor was put, else the selected one. */
  cursorNode(): Node | undefined {
    return this.node(this.cursor.value) ?? this.node(this.selected.value);
  }

  node(spanId: string): Node | undefined {
    return this.loaded.value?.tree.bySpanId.get(spanId);
  }

  /** Opens everything above a span, so that it has a row. */
  reveal(node: Node): void {
    const open = new Set(this.collapsed.value);
    let changed = false;
    for (let n = node.parent; n; n = n.parent) changed = open.delete(n.span.spanId) || changed;
    if (changed) this.collapsed.value = open;
  }

  toggle(node: Node, collapse = !this.collapsed.value.has(node.span.spanId)): void {
    if (node.children.length === 0) return;
    const next = new Set(this.collapsed.value);
    if (collapse) next.add(node.span.spanId);
    else next.delete(node.span.spanId);
    this.collapsed.value = next;
  }
}

/** The id as the API writes it: lower case, 32 digits. */
export function canonical(traceId: string): string {
  return traceId.toLowerCase().padStart(32, "0");
}
