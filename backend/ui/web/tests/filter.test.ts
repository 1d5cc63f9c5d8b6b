import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Filter,
  faults,
  filterFromUrl,
  filterToUrl,
  goDuration,
  inRange,
  isEmpty,
  noFilter,
  streamParams,
  tracesParams,
} from "../src/lib/filter";

const full: Filter = {
  service: "articles-service",
  name: "GET /articles/v1/",
  kind: "server",
  status: "error",
  minDuration: "1.5s",
  maxDuration: "2 min",
  attributes: ["http.route=/a=b", "k=ü&x"],
  last: "",
  start: "2026-09-21T14:00:00.000Z",
  end: "1790000000000000000",
};

test("a filter survives the URL", () => {
  assert.deepEqual(filterFromUrl(new URLSearchParams(filterToUrl(full).toString())), full);
  const lookback = { ...noFilter, last: "15m" };
  assert.deepEqual(filterFromUrl(filterToUrl(lookback)), lookback);
  assert.deepEqual(filterFromUrl(new URLSearchParams("")), noFilter);
});

test("the service without a name is not the same as any service", () => {
  assert.equal(filterFromUrl(new URLSearchParams("service=")).service, "");
  assert.equal(filterToUrl({ ...noFilter, service: "" }).toString(), "service=");
  assert.ok(isEmpty(noFilter) && !isEmpty({ ...noFilter, service: "" }));
});

test("nonsense in a URL is ignored where it is a choice", () => {
  const filter = filterFromUrl(new URLSearchParams("kind=royal&status=grand&last=3y&attr="));
  assert.deepEqual(filter, noFilter);
});

test("the API gets durations as Go writes them, and times only for /traces", () => {
  assert.equal(
    streamParams(full).toString(),
    "service=articles-service&name=GET+%2Farticles%2Fv1%2F&kind=server&status=error&minDuration=1.5s&maxDuration=2m&attr=http.route%3D%2Fa%3Db&attr=k%3D%C3%BC%26x",
  );
  const params = tracesParams({ ...noFilter, last: "5m" }, 50, 1_790_000_000_000);
  assert.equal(params.toString(), "start=1789999700000000000&limit=50");
  assert.equal(tracesParams(full, 50, 0).get("start"), full.start);
});

test("durations as people type them", () => {
  assert.deepEqual(
    ["250ms", "250 ms", "1,5s", "100µs", "100us", "5", "1h30m", "2 min", "0.5 S"].map(goDuration),
    ["250ms", "250ms", "1.5s", "100us", "100us", "5ms", "1h30m", "2m", "0.5s"],
  );
  for (const text of ["", "fast", "-5ms", "5 apples", "1.2.3s", "ms"])
    assert.equal(goDuration(text), undefined, text);
});

test("faults are one sentence per field", () => {
  assert.deepEqual(faults(full), {});
  assert.deepEqual(
    Object.keys(faults({ ...noFilter, minDuration: "x", attributes: ["a=b", "=c"], start: "soon" })),
    ["minDuration", "attributes", "start"],
  );
  assert.deepEqual(faults({ ...full, end: "1789000000000000000" }), { end: "Ends before it starts." });
  assert.deepEqual(faults({ ...noFilter, minDuration: "5s", maxDuration: "1 ms" }), {
    maxDuration: "Shorter than the least duration.",
  });
  assert.deepEqual(faults({ ...noFilter, minDuration: "900ms", maxDuration: "1s" }), {});
  assert.deepEqual(Object.keys(faults({ ...noFilter, maxDuration: "99999999h" })), ["maxDuration"]);
  assert.deepEqual(faults(noFilter), {});
});

test("traces of the stream are held against the time range", () => {
  const now = 1_790_000_000_000;
  const at = (millis: number): bigint => BigInt(now + millis) * 1_000_000n;
  const last = { ...noFilter, last: "5m" };
  assert.ok(inRange(last, at(-1000), 0n, now));
  assert.ok(!inRange(last, at(-400_000), 0n, now));
  assert.ok(inRange(last, at(-400_000), 200_000_000_000n, now), "it overlaps the range");
  const past = { ...noFilter, end: "2026-01-01T00:00:00Z" };
  assert.ok(!inRange(past, at(0), 0n, now));
  assert.ok(inRange(noFilter, 0n, 0n, now));
});
