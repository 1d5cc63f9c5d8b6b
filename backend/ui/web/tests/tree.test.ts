import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTrace } from "../src/lib/otlp";
import { buildTree, clockSkews, type Tree } from "../src/lib/tree";
import { otlp, type SpanSpec, seeded, spanId } from "./spans";

const treeOf = (specs: SpanSpec[]): Tree => buildTree(parseTrace(otlp(specs)));
const shape = (tree: Tree): string =>
  tree.nodes.map((n) => `${n.depth}${n.span.name}${n.promotion ? `(${n.promotion})` : ""}`).join(" ");

test("children are in order of start, whatever the order of arrival", () => {
  const specs: SpanSpec[] = [
    { id: "c2", parent: "r", start: 5 },
    { id: "c1", parent: "r", start: 2 },
    { id: "g", parent: "c2", start: 6 },
    { id: "r" },
    { id: "c3", parent: "r", start: 5 },
  ];
  const random = seeded(7);
  for (let i = 0; i < 50; i++) {
    const shuffled = [...specs].sort(() => random() - 0.5);
    assert.equal(shape(treeOf(shuffled)), "0r 1c1 1c2 2g 1c3");
  }
});

test("every span has exactly one place, whatever the parents say", () => {
  const random = seeded(42);
  for (let round = 0; round < 300; round++) {
    const n = 1 + Math.floor(random() * 30);
    const specs: SpanSpec[] = [];
    for (let i = 1; i <= n; i++) {
      // Parents beyond n have not arrived; 0 is none.
      specs.push({
        id: spanId(i),
        parent: random() < 0.1 ? "" : spanId(Math.floor(random() * n * 1.3) + 1),
        start: Math.floor(random() * 100),
      });
    }
    const tree = treeOf(specs);
    assert.equal(tree.nodes.length, n);
    assert.equal(new Set(tree.nodes).size, n);
    tree.nodes.forEach((node, i) => {
      assert.equal(node.index, i);
      assert.equal(node.depth, node.parent ? node.parent.depth + 1 : 0);
      // The descendants are the rows that follow, and only they are deeper.
      const after = tree.nodes[i + node.descendants + 1];
      for (let j = i + 1; j <= i + node.descendants; j++)
        assert.ok((tree.nodes[j]?.depth ?? -1) > node.depth);
      assert.ok(!after || after.depth <= node.depth);
      assert.ok(node.selfTime >= 0 && node.selfTime <= node.span.duration);
    });
  }
});

test("a circle is cut at its earliest span, and what hangs on it stays", () => {
  const tree = treeOf([
    { id: "b", parent: "a", start: 5 },
    { id: "c", parent: "b", start: 1 },
    { id: "a", parent: "c", start: 9 },
    { id: "leaf", parent: "a", start: 10 },
    { id: "self", parent: "self", start: 20 },
  ]);
  assert.equal(shape(tree), "0c(cycle) 1a 2b 2leaf 0self(cycle)");
  assert.equal(tree.cycles, 2);
});

test("an orphan comes under its parent when that arrives", () => {
  const late: SpanSpec[] = [{ id: "kid", parent: "p", start: 3 }];
  assert.equal(shape(treeOf(late)), "0kid(orphan)");
  assert.equal(shape(treeOf([...late, { id: "p" }])), "0p 1kid");
});

test("self time leaves out what children cover, once", () => {
  const tree = treeOf([
    { id: "r", duration: 100 },
    { id: "a", parent: "r", start: 10, duration: 30 },
    { id: "b", parent: "r", start: 20, duration: 40 },
    { id: "c", parent: "r", start: 25, duration: 5 },
    { id: "late", parent: "r", start: 90, duration: 500 },
    { id: "early", parent: "r", start: 0, duration: 1 },
  ]);
  assert.equal(tree.bySpanId.get("r")?.selfTime, 100 - 1 - 50 - 10);
});

test("a chain of 200,000 spans is built without recursion", () => {
  const n = 200_000;
  const specs = Array.from({ length: n }, (_, i) => ({
    id: spanId(i + 1),
    parent: i === 0 ? "" : spanId(i),
    start: i,
    duration: n - i,
  }));
  const tree = treeOf(specs);
  assert.equal(tree.depth, n - 1);
  assert.equal(tree.nodes[0]?.descendants, n - 1);
});

test("a circle of 100,000 spans is one circle", () => {
  const n = 100_000;
  const tree = treeOf(
    Array.from({ length: n }, (_, i) => ({ id: spanId(i + 1), parent: spanId(((i + 1) % n) + 1), start: i })),
  );
  assert.equal(tree.cycles, 1);
  assert.equal(tree.nodes.length, n);
});

test("clock skew is said only across resources, and never of late ends", () => {
  const across = treeOf([
    { id: "p", service: "front", start: 100 },
    { id: "kid", parent: "p", service: "back", start: 40 },
    { id: "kid2", parent: "p", service: "back", start: 70 },
  ]);
  assert.deepEqual(clockSkews(across), [{ service: "back", parentService: "front", spans: 2, atLeast: 60 }]);
  const within = treeOf([
    { id: "p", start: 100 },
    { id: "kid", parent: "p", start: 40 },
  ]);
  assert.deepEqual(clockSkews(within), []);
  assert.equal(within.bySpanId.get("kid")?.startsEarlyBy, 60);
  const outlives = treeOf([
    { id: "p", service: "front", duration: 10 },
    { id: "kid", parent: "p", service: "back", start: 5, duration: 1000 },
  ]);
  assert.deepEqual(clockSkews(outlives), []);
});
