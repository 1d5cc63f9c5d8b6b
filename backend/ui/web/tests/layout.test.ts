import assert from "node:assert/strict";
import { test } from "node:test";
import {
  barOf,
  collapsedAt,
  deepestRow,
  fit,
  pan,
  rowWindow,
  ticks,
  visibleRows,
  zoom,
} from "../src/lib/layout";
import { parseTrace } from "../src/lib/otlp";
import { buildTree } from "../src/lib/tree";
import { otlp } from "./spans";

const tree = buildTree(
  parseTrace(
    otlp([
      { id: "r" },
      { id: "a", parent: "r", start: 1 },
      { id: "a1", parent: "a", start: 2 },
      { id: "a2", parent: "a1", start: 3 },
      { id: "b", parent: "r", start: 4 },
      { id: "b1", parent: "b", start: 5 },
    ]),
  ),
);
const names = (collapsed: Set<string>): string =>
  visibleRows(tree, collapsed)
    .map((n) => n.span.name)
    .join(" ");

test("collapsing hides what is below, also below a collapsed child", () => {
  assert.equal(names(new Set()), "r a a1 a2 b b1");
  assert.equal(names(new Set(["a"])), "r a b b1");
  assert.equal(names(new Set(["a", "a1"])), "r a b b1");
  assert.equal(names(new Set(["r", "a"])), "r");
  assert.equal(names(new Set(["no such span"])), "r a a1 a2 b b1");
});

test("levels collapse and expand one by one", () => {
  assert.equal(names(collapsedAt(tree, 0)), "r");
  assert.equal(names(collapsedAt(tree, 1)), "r a b");
  assert.equal(names(collapsedAt(tree, 2)), "r a a1 b b1");
  assert.equal(deepestRow(visibleRows(tree, collapsedAt(tree, 2))), 2);
});

test("only: the rows of a set, in order", () => {
  const only = new Set(tree.nodes.filter((n) => ["r", "b", "b1"].includes(n.span.name)));
  assert.deepEqual(
    visibleRows(tree, new Set(["b"]), only).map((n) => n.span.name),
    ["r", "b", "b1"],
  );
});

test("the window has what is on the screen and never more than there is", () => {
  assert.deepEqual(rowWindow(0, 280, 28, 100_000), { first: 0, end: 18 });
  assert.deepEqual(rowWindow(28_000, 280, 28, 100_000), { first: 992, end: 1018 });
  assert.deepEqual(rowWindow(28 * 100_000, 280, 28, 100_000), { first: 99_992, end: 100_000 });
  assert.deepEqual(rowWindow(1e9, 280, 28, 5), { first: 5, end: 5 });
  assert.deepEqual(rowWindow(0, 280, 28, 0), { first: 0, end: 0 });
});

test("bars are cut at the edges and gone outside", () => {
  const range = { from: 100, to: 200 };
  assert.deepEqual(barOf(125, 50, range), { left: 0.25, width: 0.5, cutLeft: false, cutRight: false });
  assert.deepEqual(barOf(0, 1000, range), { left: 0, width: 1, cutLeft: true, cutRight: true });
  assert.equal(barOf(0, 50, range), undefined);
  assert.equal(barOf(201, 50, range), undefined);
  assert.deepEqual(barOf(0, 0, { from: 0, to: 0 }), { left: 0, width: 1, cutLeft: false, cutRight: false });
});

test("ticks are round numbers", () => {
  assert.deepEqual(
    ticks({ from: 0, to: 14e6 }, 5).map((t) => t.label),
    ["0", "5 ms", "10 ms"],
  );
  assert.deepEqual(
    ticks({ from: 3.2e6, to: 3.9e6 }, 4).map((t) => t.label),
    ["3.2 ms", "3.4 ms", "3.6 ms", "3.8 ms"],
  );
  for (const length of [1, 7, 999, 1e6, 1.7e9, 8.64e13, 1e18]) {
    const marks = ticks({ from: length / 3, to: length }, 8);
    assert.ok(marks.length >= 1 && marks.length <= 9, `${length}: ${marks.length} ticks`);
    assert.ok(marks.every((m) => m.at >= 0 && m.at <= 1));
  }
  assert.equal(ticks({ from: 0, to: 0 }, 5).length, 1);
});

test("zooming keeps the point under the pointer and stays in the trace", () => {
  const range = zoom({ from: 0, to: 1e9 }, 0.5, 0.25, 1e9);
  assert.deepEqual(range, { from: 0.125e9, to: 0.625e9 });
  assert.deepEqual(zoom(range, 100, 0.25, 1e9), { from: 0, to: 1e9 });
  const deep = Array.from({ length: 60 }).reduce<{ from: number; to: number }>(
    (r) => zoom(r, 0.5, 0.3, 1e9),
    { from: 0, to: 1e9 },
  );
  assert.ok(Math.abs(deep.to - deep.from - 1000) < 1);
  assert.deepEqual(pan({ from: 0, to: 10 }, -1, 100), { from: 0, to: 10 });
  assert.deepEqual(pan({ from: 50, to: 90 }, 1, 100), { from: 60, to: 100 });
  assert.deepEqual(fit({ from: -5, to: 500 }, 100), { from: 0, to: 100 });
});
