// The waterfall: overview, ruler, and the rows that are on the screen. Only
// those are in the document, so that a hundred thousand spans cost what fifty do.

import { useSignal } from "@preact/signals";
import type { CSSProperties, JSX, RefObject } from "preact";
import { useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { pan, rowWindow, ticks, zoom } from "../lib/layout";
import type { Node } from "../lib/tree";
import { load, save } from "../state/storage";
import type { TracePage } from "../state/trace-page";
import { Minimap } from "./minimap";
import { Row } from "./waterfall-row";

// A narrow window has the name above the bar.
const narrow = 560;
const heights = { wide: 28, stacked: 46 };

export interface WaterfallHandle {
  /** Puts the cursor on a row that is visible, and scrolls to it. */
  moveTo(node: Node): void;
  /** The same for any node: opens what hides it first. */
  goTo(node: Node): void;
  pageRows(): number;
  focus(): void;
  /** Says something to a screen reader. */
  say(text: string): void;
}

const defaultShare = 0.4;

export function Waterfall({
  page,
  handle,
}: {
  page: TracePage;
  handle: RefObject<WaterfallHandle | null>;
}): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const scrollTop = useSignal(0);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [said, setSaid] = useState("");
  const [share, setShare] = useState(() => {
    const stored = load("label-share");
    return typeof stored === "number" && stored >= 0.15 && stored <= 0.8 ? stored : defaultShare;
  });

  const stacked = size.width > 0 && size.width < narrow;
  const rowHeight = stacked ? heights.stacked : heights.wide;
  const rows = page.rows.value;
  const loaded = page.loaded.value;
  const range = page.visibleRange.value;
  const places = useMemo(() => new Map(rows.map((node, i) => [node, i])), [rows]);
  const cursor = page.cursorNode();
  const matches = page.asked.value.trim() ? page.matchSet.value : undefined;

  const scrollTo = (node: Node): void => {
    const at = page.rows.value.indexOf(node);
    const element = scroller.current;
    if (at < 0 || !element) return;
    const top = at * rowHeight;
    const room = element.clientHeight;
    if (top < element.scrollTop + rowHeight)
      element.scrollTop = Math.max(0, top - Math.min(rowHeight * 3, room / 4));
    else if (top + rowHeight * 2 > element.scrollTop + room) {
      element.scrollTop = top + rowHeight - room + Math.min(rowHeight * 3, room / 4);
    }
  };

  useImperativeHandle(handle, () => ({
    moveTo(node) {
      page.cursor.value = node.span.spanId;
      // With the details open they follow the cursor.
      if (page.selected.value) page.selected.value = node.span.spanId;
      scrollTo(node);
    },
    goTo(node) {
      page.reveal(node);
      if (!page.rows.value.includes(node)) page.onlyMatches.value = false;
      this.moveTo(node);
    },
    pageRows: () => Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowHeight) - 1),
    focus: () => scroller.current?.focus({ preventScroll: true }),
    say: setSaid,
  }));

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => {
      setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    observer.observe(element);
    setSize({ width: element.clientWidth, height: element.clientHeight });
    return () => observer.disconnect();
  }, []);

  // While the trace grows, the row at the top stays at the top.
  const anchor = useRef<{ id: string; offset: number; top: number } | undefined>(undefined);
  useLayoutEffect(() => {
    const element = scroller.current;
    const kept = anchor.current;
    const node = kept?.id ? page.node(kept.id) : undefined;
    const at = node ? places.get(node) : undefined;
    if (element && kept && at !== undefined && element.scrollTop > 0) {
      // Notices above may come and go as well.
      const moved = element.getBoundingClientRect().top - kept.top;
      const wanted = at * rowHeight + kept.offset + moved;
      if (Math.abs(wanted - element.scrollTop) >= 1) element.scrollTop = wanted;
    }
  }, [page, places, rowHeight]);

  const onScroll = (): void => {
    const element = scroller.current;
    if (!element) return;
    scrollTop.value = element.scrollTop;
    const top = page.rows.value[Math.floor(element.scrollTop / rowHeight)];
    anchor.current = top && {
      id: top.span.spanId,
      offset: element.scrollTop % rowHeight,
      top: element.getBoundingClientRect().top,
    };
  };

  useEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const onWheel = (event: WheelEvent): void => {
      const total = page.loaded.value?.trace.duration ?? 0;
      const lane = element.querySelector(".lanes")?.getBoundingClientRect();
      if (!lane || total <= 0) return;
      const at = Math.min(1, Math.max(0, (event.clientX - lane.left) / lane.width));
      const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        const steps = event.deltaMode === 0 ? event.deltaY / 240 : event.deltaY / 4;
        page.range.value = zoom(page.visibleRange.value, 2 ** Math.max(-2, Math.min(2, steps)), at, total);
      } else if (page.range.value && Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
        event.preventDefault();
        page.range.value = pan(page.visibleRange.value, sideways / Math.max(1, lane.width), total);
      }
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [page]);

  const { first, end } = rowWindow(scrollTop.value, size.height, rowHeight, rows.length);
  const labelWidth = stacked ? 0 : Math.round(Math.max(90, size.width * share));
  const laneWidth = Math.max(1, size.width - labelWidth);
  const marks = ticks(range, Math.max(2, Math.floor(laneWidth / 110)));
  const depth = loaded?.tree.depth ?? 0;
  // However deep the tree is, half of the label is left to the name.
  const indent = Math.min(14, ((stacked ? size.width : labelWidth) * 0.45) / Math.max(1, depth));

  return (
    <section
      class={stacked ? "waterfall stacked" : "waterfall"}
      aria-label="Waterfall"
      style={{ "--label": `${labelWidth}px`, "--indent": `${indent}px` } as CSSProperties}
    >
      <div class="waterfall-head">
        <div class="head-label">
          <span>Service and span</span>
          <Splitter share={share} width={size.width} onChange={setShare} />
        </div>
        <div class="head-lane">
          <Minimap page={page} />
          <div class="ruler" aria-hidden="true">
            {marks.map((m) => (
              <span key={m.at} style={{ left: `${m.at * 100}%` }} class={m.at > 0.93 ? "tick last" : "tick"}>
                {m.label}
              </span>
            ))}
          </div>
        </div>
      </div>
      <div
        ref={scroller}
        class="rows"
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={rows.length}
        aria-colcount={2}
        aria-activedescendant={cursor && places.has(cursor) ? rowId(cursor) : undefined}
        // A treegrid is the one thing here that takes the keyboard.
        tabIndex={0}
        onScroll={onScroll}
      >
        <div class="rows-space" role="presentation" style={{ height: `${rows.length * rowHeight}px` }}>
          <div class="lanes" aria-hidden="true">
            {marks.map((m) => (
              <span key={m.at} class="grid-line" style={{ left: `${m.at * 100}%` }} />
            ))}
          </div>
          <div
            class="rows-drawn"
            role="presentation"
            style={{ transform: `translateY(${first * rowHeight}px)` }}
          >
            {rows.slice(first, end).map((node, i) => (
              <Row
                key={node.span.spanId || `row ${node.index}`}
                id={rowId(node)}
                node={node}
                position={first + i}
                range={range}
                collapsed={page.collapsed.value.has(node.span.spanId)}
                selected={page.selected.value === node.span.spanId}
                cursor={cursor === node}
                dimmed={matches !== undefined && !matches.has(node)}
                found={matches?.has(node) ?? false}
                onToggle={() => page.toggle(node)}
                onSelect={() => {
                  page.cursor.value = node.span.spanId;
                  page.selected.value = page.selected.value === node.span.spanId ? "" : node.span.spanId;
                }}
              />
            ))}
          </div>
        </div>
        {rows.length === 0 ? <p class="nothing">No span matches.</p> : null}
      </div>
      <span class="offscreen" role="status">
        {said}
      </span>
    </section>
  );
}

const rowId = (node: Node): string => `span-${node.index}`;

/** The line between names and times, to be moved by pointer or arrow keys. */
function Splitter(props: { share: number; width: number; onChange: (share: number) => void }): JSX.Element {
  const set = (share: number): void => {
    const bounded = Math.min(0.8, Math.max(0.15, share));
    props.onChange(bounded);
    save("label-share", bounded);
  };
  return (
    <div
      class="splitter"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the names"
      aria-valuenow={Math.round(props.share * 100)}
      aria-valuemin={15}
      aria-valuemax={80}
      tabIndex={0}
      onDblClick={() => set(defaultShare)}
      onKeyDown={(event) => {
        const step = event.key === "ArrowLeft" ? -0.02 : event.key === "ArrowRight" ? 0.02 : 0;
        if (step === 0) return;
        event.preventDefault();
        set(props.share + step);
      }}
      onPointerDown={(event) => {
        const handle = event.currentTarget;
        const left = handle.closest(".waterfall")?.getBoundingClientRect().left ?? 0;
        handle.setPointerCapture(event.pointerId);
        handle.onpointermove = (e) => set((e.clientX - left) / Math.max(1, props.width));
        handle.onpointerup = () => {
          handle.onpointermove = null;
        };
      }}
    />
  );
}
