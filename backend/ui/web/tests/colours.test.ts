import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Assignment, palette, slot, slots } from "../src/lib/colours";
import { contrast, deltaE2000, distance, visions } from "./colour-vision";

const themes = ["light", "dark"] as const;

/** The variables of the style sheet, `--name: light-dark(#…, #…)`. */
const css = Object.fromEntries(
  [
    ...readFileSync("src/style/base.css", "utf8").matchAll(
      /--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g,
    ),
  ].map((m) => [m[1], { light: m[2] ?? "", dark: m[3] ?? "" }]),
);

test("the distance formula gives the published values", () => {
  // Sharma, Wu and Dalal (2005), table 1, pairs 1, 7, 17 and 25.
  for (const [a, b, want] of [
    [[50, 2.6772, -79.7751], [50, 0, -82.7485], 2.0425],
    [[50, 0, 0], [50, -1, 2], 2.3669],
    [[50, 2.5, 0], [73, 25, -18], 27.1492],
    [[60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644],
  ] as const) {
    assert.ok(Math.abs(deltaE2000(a, b) - want) < 0.0001, `${deltaE2000(a, b)} is not ${want}`);
  }
});

test("articles-service and suggestions-service look nothing alike, to any eye, in both themes", () => {
  const assignment = new Assignment();
  const articles = slot(assignment.slotOf("articles-service"));
  const suggestions = slot(assignment.slotOf("suggestions-service"));
  for (const theme of themes) {
    for (const vision of visions) {
      const d = distance(articles[theme], suggestions[theme], vision);
      assert.ok(d >= 50, `${theme}, ${vision}: ΔE ${d.toFixed(1)}`);
    }
  }
});

test("the first four are far apart, and no two of the palette are near", () => {
  for (const theme of themes) {
    for (const vision of visions) {
      for (let i = 0; i < palette.length; i++) {
        for (let j = 0; j < i; j++) {
          const d = distance(palette[i]?.[theme] ?? "", palette[j]?.[theme] ?? "", vision);
          assert.ok(d >= (i < 4 ? 15 : 9), `${theme}, ${vision}: ${i} and ${j} have ΔE ${d.toFixed(1)}`);
        }
      }
    }
  }
});

test("no service looks like an error", () => {
  for (const theme of themes) {
    for (const colour of palette) {
      const d = distance(colour[theme], css["error"]?.[theme] ?? "", "normal");
      assert.ok(d >= 20, `${theme}: ${colour[theme]} has ΔE ${d.toFixed(1)} to the error colour`);
    }
  }
});

test("bars have a contrast of 3 to 1 with everything they lie on", () => {
  for (const theme of themes) {
    for (const colour of palette) {
      for (const ground of ["page", "panel"]) {
        const c = contrast(colour[theme], css[ground]?.[theme] ?? "");
        assert.ok(c >= 3, `${theme}: ${colour[theme]} on ${ground} has ${c.toFixed(2)}`);
      }
    }
  }
});

test("text has a contrast of 4.5 to 1 with everything it lies on", () => {
  const grounds: Record<string, string[]> = {
    text: ["page", "panel", "raised", "hover", "chosen", "error-soft", "warning-soft"],
    muted: ["page", "panel", "raised", "hover", "chosen"],
    accent: ["page", "panel", "hover"],
    error: ["page", "panel", "hover", "chosen", "error-soft"],
    warning: ["warning-soft"],
    good: ["page", "panel"],
    "on-accent": ["accent"],
  };
  for (const theme of themes) {
    for (const [text, list] of Object.entries(grounds)) {
      for (const ground of list) {
        const c = contrast(css[text]?.[theme] ?? "", css[ground]?.[theme] ?? "");
        assert.ok(c >= 4.5, `${theme}: --${text} on --${ground} has ${c.toFixed(2)}`);
      }
    }
  }
});

test("controls have an outline of 3 to 1", () => {
  for (const theme of themes) {
    for (const ground of ["page", "panel", "raised"]) {
      const c = contrast(css["control-line"]?.[theme] ?? "", css[ground]?.[theme] ?? "");
      assert.ok(c >= 3, `${theme}: --control-line on --${ground} has ${c.toFixed(2)}`);
    }
  }
});

test("a service keeps its slot, and a remembered one gets it back", () => {
  const first = new Assignment();
  assert.deepEqual(
    ["a", "b", "a", "c"].map((n) => first.slotOf(n)),
    [0, 1, 0, 2],
  );
  const second = new Assignment(first.holders);
  assert.deepEqual(
    ["c", "new", "a"].map((n) => second.slotOf(n)),
    [2, 3, 0],
  );
});

test("no two services share a look until all are used; then the hash decides, the same every time", () => {
  const assignment = new Assignment();
  const looks = new Set(
    Array.from({ length: slots }, (_, i) => JSON.stringify(slot(assignment.slotOf(`service-${i}`)))),
  );
  assert.equal(looks.size, slots);
  const late = assignment.slotOf("one too many");
  assert.ok(late >= 0 && late < slots);
  assert.equal(new Assignment(assignment.holders).slotOf("one too many"), late);
  assert.equal(assignment.holders.length, slots);
  assert.equal(assignment.slotOf("service-3"), 3);
});

test("a slot is free again when its service was not seen for a week", () => {
  const holders = [
    { name: "old", day: 90 },
    { name: "recent", day: 95 },
    { name: "older", day: 80 },
  ];
  const assignment = new Assignment(holders, 100);
  assert.deepEqual(
    ["new", "recent", "newer", "newest", "old"].map((n) => assignment.slotOf(n)),
    [0, 1, 2, 3, 4],
  );
});

test("when all are taken, the one not seen for longest goes, but none of today", () => {
  const holders = Array.from({ length: slots }, (_, i) => ({
    name: `s${i}`,
    day: i === 5 ? 96 : i === 6 ? 97 : 100,
  }));
  const assignment = new Assignment(holders, 100);
  assert.equal(assignment.slotOf("new"), 5);
  assert.equal(assignment.slotOf("newer"), 6);
  assert.equal(assignment.slotOf("s0"), 0);
  const before = JSON.stringify(assignment.holders);
  assignment.slotOf("one too many");
  assert.equal(JSON.stringify(assignment.holders), before);
});
