// The golden traces, which the Go and Python tests read too, drawn as text.
// UPDATE=1 npm test rewrites the expected files.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { traceIds } from "../src/lib/otlp";
import { dump } from "./dump";

// Tests run in backend/ui/web.
const traces = "../../../testdata/traces";
const golden = "tests/golden";

const files = readdirSync(traces).filter((name) => name.endsWith(".json"));

test("there are golden traces", () => {
  assert.ok(files.length >= 9, `${files.length} in ${traces}`);
});

for (const name of files) {
  test(`waterfall of ${name}`, () => {
    const parsed = JSON.parse(readFileSync(join(traces, name), "utf8")) as unknown;
    // Some files hold several exports of one trace.
    const exports = Array.isArray(parsed) ? parsed : [parsed];
    const resourceSpans = exports.flatMap((e) => (e as { resourceSpans: unknown[] }).resourceSpans);
    const got = traceIds(resourceSpans)
      .map((id) => dump(resourceSpans, id))
      .join("\n");
    const file = join(golden, name.replace(/\.json$/, ".txt"));
    if (process.env["UPDATE"]) writeFileSync(file, got);
    assert.ok(existsSync(file), `${file} is missing; UPDATE=1 npm test writes it`);
    assert.equal(got, readFileSync(file, "utf8"));
  });
}

test("every golden waterfall belongs to a trace", () => {
  const wanted = files.map((name) => name.replace(/\.json$/, ".txt")).sort();
  assert.deepEqual(readdirSync(golden).sort(), wanted);
});
