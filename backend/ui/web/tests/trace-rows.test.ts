import assert from "node:assert/strict";
import { test } from "node:test";
import { merge, noRows, type Rows, release, replace, type TraceRow } from "../src/lib/trace-rows";
import { seeded } from "./spans";

function row(id: string, start: number, received = start, spans = 1): TraceRow {
  return {
    traceId: id,
    rootService: "s",
    rootName: id,
    hasRoot: true,
    startNano: BigInt(start),
    duration: 1,
    spans,
    errors: 0,
    orphans: 0,
    services: [],
    lastReceivedNano: BigInt(received),
  };
}
const ids = (rows: Rows): string => rows.shown.map((r) => `${r.traceId}${r.spans}`).join(" ");

test("newest first, one row per trace, whatever the order of arrival", () => {
  const random = seeded(3);
  const summaries = [row("a", 1), row("b", 2), row("b", 2, 5, 7), row("c", 3), row("a", 1, 9, 4)];
  for (let i = 0; i < 50; i++) {
    let rows = noRows;
    for (const r of [...summaries].sort(() => random() - 0.5)) rows = merge(rows, [r], false, 10);
    assert.equal(ids(rows), "c1 b7 a4");
  }
});

test("a limit cuts the oldest", () => {
  const rows = merge(noRows, [row("a", 1), row("b", 2), row("c", 3)], false, 2);
  assert.equal(ids(rows), "c1 b1");
});

test("held: shown rows grow in place, new ones wait, and come in order", () => {
  let rows = merge(noRows, [row("a", 1), row("b", 2)], false, 10);
  rows = merge(rows, [row("c", 3), row("a", 1, 5, 8)], true, 10);
  assert.equal(ids(rows), "b1 a8");
  assert.deepEqual([...rows.held.keys()], ["c"]);
  rows = merge(rows, [row("c", 3, 6, 2)], true, 10);
  assert.equal(ids(release(rows, 10)), "c2 b1 a8");
  assert.equal(ids(merge(rows, [row("d", 4)], false, 10)), "d1 c2 b1 a8", "what was held comes in too");
});

test("what is held is bounded", () => {
  let rows = noRows;
  for (let i = 0; i < 5_000; i++) rows = merge(rows, [row(`t${i}`, i)], true, 100);
  assert.ok(rows.held.size <= 200, `${rows.held.size} held`);
  assert.equal(release(rows, 100).shown[0]?.traceId, "t4999");
});

test("an answer replaces, but not what came after it was asked for", () => {
  const before = merge(noRows, [row("gone", 1), row("a", 2, 2, 1)], false, 10);
  const after = replace(
    before,
    [row("a", 2, 2, 1), row("b", 3)],
    [row("a", 2, 9, 5), row("new", 4)],
    false,
    10,
  );
  assert.equal(ids(after), "new1 b1 a5");
});

test("an answer does not move rows that are being read", () => {
  const before = merge(noRows, [row("a", 1), row("gone", 2), row("b", 3)], false, 10);
  const after = replace(before, [row("c", 9), row("b", 3, 3, 2), row("a", 1), row("older", 0)], [], true, 10);
  assert.equal(ids(after), "b2 a1 older1");
  assert.deepEqual([...after.held.keys()], ["c"]);
});
