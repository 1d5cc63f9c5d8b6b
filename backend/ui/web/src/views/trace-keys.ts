// Connects the keyboard to the trace page.

import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { nextMatch } from "../lib/find";
import { type Command, commandOf, type Focus } from "../lib/keys";
import { collapsedAt, deepestRow, pan, zoom } from "../lib/layout";
import type { Node } from "../lib/tree";
import { traceUrl } from "../state/router";
import type { TracePage } from "../state/trace-page";
import { copyText } from "./common";
import type { WaterfallHandle } from "./waterfall";

export const findInputId = "find-in-trace";

function focusOf(target: EventTarget | null): Focus {
  if (!(target instanceof HTMLElement)) return "free";
  if (target.closest("input, textarea, select, [contenteditable]")) return "text";
  if (target.closest("[role=treegrid]")) return "free";
  return target.closest("button, a, summary, [tabindex]") ? "control" : "free";
}

export function useTraceKeys(page: TracePage, waterfall: RefObject<WaterfallHandle | null>): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (document.querySelector("dialog[open]") || event.defaultPrevented) return;
      const command = commandOf(event, focusOf(event.target));
      if (!command || command === "help") return;
      if (run(command, page, waterfall.current)) event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [page, waterfall]);
}

/** Carries out a command; false when there was nothing to do. */
export function run(command: Command, page: TracePage, waterfall: WaterfallHandle | null): boolean {
  const loaded = page.loaded.value;
  if (!loaded || !waterfall) return false;
  const rows = page.rows.value;
  const cursor = page.cursorNode();
  const at = Math.max(0, cursor ? rows.indexOf(cursor) : 0);
  const move = (to: number): boolean => {
    const node = rows[Math.min(rows.length - 1, Math.max(0, to))];
    if (node) waterfall.moveTo(node);
    return node !== undefined;
  };
  const jump = (nodes: Node[], backwards: boolean): boolean => {
    const node = nextMatch(nodes, cursor?.index ?? -1, backwards);
    if (node) waterfall.goTo(node);
    return node !== undefined;
  };
  const total = loaded.trace.duration;
  const range = page.visibleRange.value;
  // Zooming keeps the span under the cursor where it is, if it is on the screen.
  const middle = cursor
    ? (cursor.span.start + cursor.span.duration / 2 - range.from) / (range.to - range.from)
    : 0.5;
  const focus = middle >= 0 && middle <= 1 ? middle : 0.5;

  switch (command) {
    case "down":
      return move(cursor ? at + 1 : 0);
    case "up":
      return move(at - 1);
    case "page-down":
      return move(at + waterfall.pageRows());
    case "page-up":
      return move(at - waterfall.pageRows());
    case "first":
      return move(0);
    case "last":
      return move(rows.length - 1);
    case "open":
      if (!cursor) return false;
      if (page.collapsed.value.has(cursor.span.spanId)) page.toggle(cursor, false);
      else if (cursor.children[0]) waterfall.moveTo(cursor.children[0]);
      return true;
    case "close":
      if (!cursor) return false;
      if (cursor.children.length > 0 && !page.collapsed.value.has(cursor.span.spanId))
        page.toggle(cursor, true);
      else if (cursor.parent) waterfall.moveTo(cursor.parent);
      return true;
    case "details":
      if (!cursor) return false;
      page.selected.value = page.selected.value === cursor.span.spanId ? "" : cursor.span.spanId;
      return true;
    case "collapse-all":
      page.collapsed.value = collapsedAt(loaded.tree, 0);
      return true;
    case "expand-all":
      page.collapsed.value = new Set();
      return true;
    case "collapse-level":
      page.collapsed.value = collapsedAt(loaded.tree, Math.max(0, deepestRow(rows) - 1));
      return true;
    case "expand-level":
      page.collapsed.value = collapsedAt(loaded.tree, deepestRow(rows) + 1);
      return true;
    case "zoom-in":
      page.range.value = zoom(range, 0.5, focus, total);
      return true;
    case "zoom-out":
      page.range.value = zoom(range, 2, focus, total);
      return true;
    case "zoom-span":
      if (cursor && cursor.span.duration > 0) {
        const margin = cursor.span.duration * 0.05;
        page.range.value = zoom(
          { from: cursor.span.start - margin, to: cursor.span.start + cursor.span.duration + margin },
          1,
          0.5,
          total,
        );
      }
      return true;
    case "zoom-reset":
      page.range.value = undefined;
      return true;
    case "pan-left":
      page.range.value = page.range.value && pan(range, -0.25, total);
      return true;
    case "pan-right":
      page.range.value = page.range.value && pan(range, 0.25, total);
      return true;
    case "find":
      (document.getElementById(findInputId) as HTMLInputElement | null)?.select();
      return true;
    case "next-match":
      return jump(page.matches.value, false);
    case "previous-match":
      return jump(page.matches.value, true);
    case "next-error":
    case "previous-error":
      return jump(
        loaded.tree.nodes.filter((n) => n.span.status === "error"),
        command === "previous-error",
      );
    case "copy-link":
      void copyText(
        new URL(traceUrl(loaded.summary.traceId, cursor?.span.spanId), window.location.href).href,
      );
      waterfall.say("Link copied");
      return true;
    case "escape":
      if (page.query.value) page.query.value = "";
      else if (page.selected.value) page.selected.value = "";
      else if (page.range.value) page.range.value = undefined;
      waterfall.focus();
      return true;
    default:
      return false;
  }
}
