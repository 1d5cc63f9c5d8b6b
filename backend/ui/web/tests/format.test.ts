import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatAgo,
  formatBytes,
  formatDuration,
  formatInstant,
  formatShare,
  formatTime,
  plural,
} from "../src/lib/format";

test("durations have three digits and the unit that suits", () => {
  const cases: [number, string][] = [
    [0, "0"],
    [1, "1 ns"],
    [850, "850 ns"],
    [999.6, "1 µs"],
    [1_000, "1 µs"],
    [12_345, "12.3 µs"],
    [999_600, "1 ms"],
    [14_000_000, "14 ms"],
    [1_049_000_000, "1.05 s"],
    [59_940_000_000, "59.9 s"],
    [60_000_000_000, "1 min"],
    [125_000_000_000, "2 min 5 s"],
    [3_600_000_000_000, "1 h"],
    [7_500_000_000_000, "2 h 5 min"],
    [100_000_000_000_000, "1 d 3 h"],
    [-5_000_000, "−5 ms"],
    [Number.NaN, "?"],
  ];
  for (const [nanos, want] of cases) assert.equal(formatDuration(nanos), want, String(nanos));
});

test("times have milliseconds, and the day when it is another", () => {
  const nano = 1_790_000_000_123_456_789n;
  assert.deepEqual(formatTime(nano, new Date("2026-09-21T20:00:00Z"), true), {
    day: "",
    time: "14:13:20.123",
  });
  assert.deepEqual(formatTime(nano, new Date("2026-09-22T20:00:00Z"), true), {
    day: "2026-09-21",
    time: "14:13:20.123",
  });
  assert.equal(formatInstant(nano), "2026-09-21T14:13:20.123456789Z");
  assert.equal(formatTime(99n ** 20n, new Date(), true).day, "?");
});

test("how long ago, in one unit", () => {
  const now = 1_790_000_100_000;
  const at = (secondsAgo: number): bigint => BigInt(now - secondsAgo * 1000) * 1_000_000n;
  assert.deepEqual(
    [0.4, 12, 200, 7200, 200_000, -5].map((s) => formatAgo(at(s), now)),
    ["now", "12 s ago", "3 min ago", "2 h ago", "2 d ago", "now"],
  );
});

test("small words", () => {
  assert.equal(plural(1, "span"), "1 span");
  assert.equal(plural(12345, "span"), "12,345 spans");
  assert.equal(plural(2, "match", "matches"), "2 matches");
  assert.deepEqual([0, 1023, 1024, 268435456].map(formatBytes), ["0 B", "1023 B", "1 KiB", "256 MiB"]);
  assert.deepEqual(
    [
      formatShare(1, 3),
      formatShare(2.65, 2.66),
      formatShare(7, 7),
      formatShare(1, 3000),
      formatShare(1, 1e9),
      formatShare(0, 5),
      formatShare(1, 0),
    ],
    ["33 %", "> 99 %", "100 %", "< 0.1 %", "< 0.1 %", "0 %", "–"],
  );
});
