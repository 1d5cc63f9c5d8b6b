import assert from "node:assert/strict";
import { test } from "node:test";
import { attributesOf, nanos, parseTrace, parseValue, textOf } from "../src/lib/otlp";
import { otlp, spanId } from "./spans";

test("nanoseconds keep their last digit", () => {
  const trace = parseTrace([
    {
      scopeSpans: [
        {
          spans: [
            {
              spanId: "a1",
              startTimeUnixNano: "1790000000000000001",
              endTimeUnixNano: "1790000000000000004",
            },
            {
              spanId: "a2",
              startTimeUnixNano: "1790000000000000003",
              endTimeUnixNano: "1790000000000000003",
            },
          ],
        },
      ],
    },
  ]);
  assert.equal(trace.startNano, 1790000000000000001n);
  assert.deepEqual(
    trace.spans.map((s) => [s.start, s.duration]),
    [
      [0, 3],
      [2, 0],
    ],
  );
  assert.equal(trace.duration, 3);
});

test("times that cannot be are named and do not stretch the trace", () => {
  const trace = parseTrace(
    otlp([
      { id: "a1", start: 100, duration: 50 },
      { id: "a2", startTimeUnixNano: "0" },
      { id: "a3", start: 120, endTimeUnixNano: "0" },
      { id: "a4", start: 130, duration: -20 },
      { id: "a5", startTimeUnixNano: "-5" },
      { id: "a6", startTimeUnixNano: {} },
    ]),
  );
  assert.deepEqual(
    trace.spans.map((s) => s.timeFault),
    [undefined, "no-start", "no-end", "ends-before-start", "no-start", "no-start"],
  );
  assert.ok(trace.spans.every((s) => s.duration >= 0 && s.start >= 0));
  assert.equal(trace.duration, 50);
});

test("the last of several spans with one id wins in the first one's place", () => {
  const trace = parseTrace(
    otlp([
      { id: "a1", name: "first" },
      { id: "a2" },
      { id: "a1", name: "last", start: 1_000_000, duration: 5 },
    ]),
  );
  assert.deepEqual(
    trace.spans.map((s) => s.name),
    ["last", "a2"],
  );
  assert.equal(trace.duplicates, 1);
});

test("enums come as numbers or names", () => {
  const [a, b, c] = parseTrace(
    otlp([
      { id: "a1", kind: 2, status: { code: 2, message: "no" } },
      { id: "a2", kind: "SPAN_KIND_CONSUMER", status: { code: "STATUS_CODE_OK" } },
      { id: "a3", kind: 99, status: { code: 7 } },
    ]),
  ).spans;
  assert.deepEqual([a?.kind, a?.status, a?.statusMessage], ["server", "error", "no"]);
  assert.deepEqual([b?.kind, b?.status], ["consumer", "ok"]);
  assert.deepEqual([c?.kind, c?.status], ["unspecified", "unset"]);
});

test("values of every type have a text", () => {
  const cases: [unknown, string][] = [
    [{ stringValue: "x" }, "x"],
    [{ boolValue: false }, "false"],
    [{ intValue: "9223372036854775807" }, "9223372036854775807"],
    [{ intValue: 7 }, "7"],
    [{ doubleValue: 1.5 }, "1.5"],
    [{ doubleValue: "NaN" }, "NaN"],
    [{ bytesValue: "AQI=" }, "AQI="],
    [{ arrayValue: { values: [{ stringValue: "a" }, { intValue: "1" }] } }, '["a","1"]'],
    [{ kvlistValue: { values: [{ key: "k", value: { boolValue: true } }] } }, '{"k":"true"}'],
    [{ arrayValue: {} }, "[]"],
    [{}, ""],
    [null, ""],
    [17, ""],
  ];
  for (const [value, want] of cases) assert.equal(textOf(parseValue(value)), want);
});

test("a value nested a million times deep neither throws nor hangs", () => {
  let value: unknown = { stringValue: "core" };
  for (let i = 0; i < 1_000_000; i++) value = { arrayValue: { values: [value] } };
  assert.match(textOf(parseValue(value)), /…/);
});

test("anything at all is parsed without throwing", () => {
  const odd = [
    null,
    1,
    "x",
    [],
    {},
    [null],
    [1],
    { spans: 1 },
    [[]],
    [{ scopeSpans: {} }],
    [{ scopeSpans: [{ spans: [null, 1, "x", {}] }] }],
  ];
  for (const input of odd) assert.ok(parseTrace(input).spans.length <= 4);
  const trace = parseTrace(
    otlp([
      {
        id: "a1",
        attributes: { a: 1 },
        events: "no",
        links: [null, 3],
        status: [],
        traceState: 4,
        flags: "many",
      },
    ]),
  );
  assert.equal(trace.spans.length, 1);
  assert.deepEqual(attributesOf(trace.spans[0]?.rawAttributes), []);
  assert.equal(trace.spans[0]?.links.length, 2);
});

test("a prototype cannot be reached through keys", () => {
  parseTrace(
    otlp([
      {
        id: "a1",
        attributes: [
          {
            key: "__proto__",
            value: { kvlistValue: { values: [{ key: "__proto__", value: { stringValue: "x" } }] } },
          },
        ],
      },
    ]),
  );
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
  assert.doesNotThrow(() =>
    textOf(parseValue({ kvlistValue: { values: [{ key: "__proto__", value: { stringValue: "x" } }] } })),
  );
});

test("event times are relative to the span", () => {
  const trace = parseTrace(
    otlp([
      { id: "a1", start: 100 },
      { id: "a2", start: 500, events: [{ name: "e", timeUnixNano: "1790000000000000700" }] },
    ]),
  );
  assert.equal(trace.spans[1]?.events[0]?.offset, 200);
});

test("nanos takes decimal strings and whole numbers only", () => {
  assert.deepEqual(["12", 12, "", "1e9", "0x10", -1, 1.5, null].map(nanos), [
    12n,
    12n,
    0n,
    0n,
    0n,
    0n,
    0n,
    0n,
  ]);
});

test("equal resources of different batches are one", () => {
  const trace = parseTrace(
    otlp([1, 2, 3].map((n) => ({ id: spanId(n), service: n === 3 ? "other" : "same" }))),
  );
  assert.equal(trace.spans[0]?.resource, trace.spans[1]?.resource);
  assert.notEqual(trace.spans[0]?.resource, trace.spans[2]?.resource);
});
