import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "../src/lib/backoff";
import { articlesExample, curlExample, environment, reachable } from "../src/lib/first-trace";
import { commandOf, type Focus, help, type Key } from "../src/lib/keys";
import { parseTrace } from "../src/lib/otlp";

const key = (k: string, more: Partial<Key> = {}): Key => ({
  key: k,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  ...more,
});

test("letters are commands only where nobody is typing", () => {
  const at = (k: string, focus: Focus): string | undefined => commandOf(key(k), focus);
  assert.equal(at("]", "free"), "collapse-all");
  assert.equal(at("[", "control"), "expand-all");
  assert.equal(at("n", "text"), undefined);
  assert.equal(at("Escape", "text"), "escape");
  assert.equal(at("Enter", "free"), "details");
  assert.equal(at("Enter", "control"), undefined, "Enter presses the button");
  assert.equal(at("ArrowDown", "control"), undefined);
  assert.equal(at("x", "free"), undefined);
});

test("the browser keeps its own shortcuts", () => {
  for (const mod of ["ctrlKey", "metaKey", "altKey"] as const)
    assert.equal(commandOf(key("f", { [mod]: true }), "free"), undefined);
});

test("help names every letter that does something", () => {
  const named = help.flatMap((g) => g.rows.flatMap(([keys]) => keys.split(/\s+/)));
  for (const k of ["]", "[", "p", "o", "z", "0", "a", "d", "/", "n", "N", "e", "E", "c", "?", "b", "f"]) {
    assert.ok(named.includes(k), k);
    assert.ok(commandOf(key(k), "free"), k);
  }
});

test("waits grow to fifteen seconds and are spread", () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 6, 1000].map((n) => backoff(n, 0)),
    [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000],
  );
  assert.equal(backoff(0, 1), 333);
});

test("the first trace can be sent as it is shown", () => {
  const command = curlExample(
    "127.0.0.1:4318",
    "5b8efff798038103d269b633813fc60c",
    "eee19b7ec3c1b174",
    1_790_000_000_000_000_000n,
  );
  assert.match(
    command,
    /^curl http:\/\/127\.0\.0\.1:4318\/v1\/traces -H 'Content-Type: application\/json' -d '[^']+'$/,
  );
  const body = JSON.parse(/-d '([^']+)'/.exec(command)?.[1] ?? "") as { resourceSpans: unknown };
  const trace = parseTrace(body.resourceSpans);
  assert.deepEqual(
    [trace.spans.length, trace.duration, trace.spans[0]?.resource.serviceName],
    [1, 250_000_000, "hello-service"],
  );
});

test("a wildcard address is reached by the page's host", () => {
  assert.equal(reachable("0.0.0.0:4318", "box.local"), "box.local:4318");
  assert.equal(reachable("[::]:4318", "[::1]"), "[::1]:4318");
  assert.equal(reachable(":4318", "localhost"), "localhost:4318");
  assert.equal(reachable("127.0.0.1:4318", "localhost"), "127.0.0.1:4318");
  assert.equal(articlesExample(16686), "curl 'http://localhost:8001/articles/v1/?with_suggested=1'");
  assert.equal(articlesExample(17686), "curl 'http://localhost:9001/articles/v1/?with_suggested=1'");
  assert.equal(articlesExample(Number("")), "curl 'http://localhost:8001/articles/v1/?with_suggested=1'");
  assert.deepEqual(environment([{ protocol: "grpc", address: "127.0.0.1:5317" }], "h"), {
    throughline: "TRACING_BACKEND_URL=127.0.0.1:5317",
    standard:
      "OTEL_SERVICE_NAME=my-service\nOTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:5317\nOTEL_EXPORTER_OTLP_PROTOCOL=grpc",
  });
});
