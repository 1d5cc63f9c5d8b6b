// The overview of the whole trace above the waterfall, drawn on a canvas. Drag
// over it to zoom; the part that is shown can be moved. Keys do the same.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { fit } from "../lib/layout";
import type { Tree } from "../lib/tree";
import { serviceSlot } from "../state/colours";
import { isDark } from "../state/theme";
import type { TracePage } from "../state/trace-page";

const height = 44;

export function Minimap({ page }: { page: TracePage }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [drag, setDrag] = useState<{ from: number; to: number }>();
  const tree = page.loaded.value?.tree;
  const total = page.loaded.value?.trace.duration ?? 0;
  const dark = isDark.value;

  useEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (canvas.current && tree && width > 0) draw(canvas.current, tree, total, width, dark);
  }, [tree, total, width, dark]);

  const range = page.range.value;
  const shade = drag ?? (range && total > 0 ? { from: range.from / total, to: range.to / total } : undefined);

  return (
    <div
      class="minimap"
      aria-hidden="true"
      title="Drag to zoom; double-click shows the whole trace"
      onDblClick={() => {
        page.range.value = undefined;
      }}
      onPointerDown={(event) => {
        if (event.button !== 0 || total <= 0) return;
        const box = event.currentTarget;
        const area = box.getBoundingClientRect();
        const at = (x: number): number => Math.min(1, Math.max(0, (x - area.left) / area.width));
        const start = at(event.clientX);
        const before = page.range.value;
        const inside = before && start > before.from / total && start < before.to / total;
        box.setPointerCapture(event.pointerId);
        let last: { from: number; to: number } | undefined;
        box.onpointermove = (e) => {
          const now = at(e.clientX);
          if (inside) {
            const by = (now - start) * total;
            page.range.value = fit({ from: before.from + by, to: before.to + by }, total);
            return;
          }
          last = { from: Math.min(start, now), to: Math.max(start, now) };
          setDrag(last);
        };
        box.onpointerup = () => {
          box.onpointermove = null;
          box.onpointerup = null;
          setDrag(undefined);
          // A click, or nearly: nothing to zoom to.
          if (last && (last.to - last.from) * area.width > 3) {
            page.range.value = fit({ from: last.from * total, to: last.to * total }, total);
          }
        };
      }}
    >
      <canvas ref={canvas} height={height} />
      {shade ? (
        <>
          <span class="shade" style={{ left: "0", width: `${shade.from * 100}%` }} />
          <span class="shade" style={{ left: `${shade.to * 100}%`, right: "0" }} />
          <span
            class="shade-frame"
            style={{ left: `${shade.from * 100}%`, width: `${(shade.to - shade.from) * 100}%` }}
          />
        </>
      ) : null}
    </div>
  );
}

/** Each span is a line as wide as it is long, the rows from top to bottom as in the waterfall. */
function draw(canvas: HTMLCanvasElement, tree: Tree, total: number, width: number, dark: boolean): void {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, canvas.width, canvas.height);
  const pad = 3 * scale;
  const room = canvas.height - 2 * pad;
  const n = tree.nodes.length;
  const line = Math.max(scale, Math.min(4 * scale, Math.floor(room / n) - 1));
  const colours = new Map<string, string>();
  let last = "";
  tree.nodes.forEach((node, i) => {
    const service = node.span.resource.serviceName;
    let colour = colours.get(service);
    if (!colour) {
      const slot = serviceSlot(service);
      colour = dark ? slot.dark : slot.light;
      colours.set(service, colour);
    }
    if (colour !== last) context.fillStyle = colour;
    last = colour;
    const x = total > 0 ? (node.span.start / total) * canvas.width : 0;
    const w = total > 0 ? (node.span.duration / total) * canvas.width : canvas.width;
    context.fillRect(x, pad + (i / n) * room, Math.max(scale, w), line);
  });
}
