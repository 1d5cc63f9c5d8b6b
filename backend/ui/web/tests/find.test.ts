import assert from "node:assert/strict";
import { test } from "node:test";
import { findSpans, nextMatch, withAncestors } from "../src/lib/find";
import { parseTrace } from "../src/lib/otlp";
import { buildTree } from "../src/lib/tree";
import { otlp } from "./spans";

const tree = buildTree(
  parseTrace(
    otlp([
      {
        id: "a1",
        name: "GET /articles",
        service: "articles-service",
        kind: 2,
        attributes: [{ key: "http.route", value: { stringValue: "/articles" } }],
      },
      {
        id: "b1",
        parent: "a1",
        name: "SELECT rows",
        service: "database",
        kind: 3,
        start: 1,
        status: { code: 2, message: "Connection Refused" },
      },
      {
        id: "c1",
        parent: "b1",
        name: "retry",
        service: "database",
        start: 2,
        attributes: [{ key: "attempt", value: { intValue: "12" } }],
        events: [
          {
            name: "exception",
            attributes: [{ key: "exception.type", value: { stringValue: "TimeoutError" } }],
          },
        ],
      },
    ]),
  ),
);
const find = (query: string): string =>
  findSpans(tree, query)
    .map((n) => n.span.spanId)
    .join(" ");

test("words are looked for everywhere, in any case", () => {
  assert.equal(find("articles"), "a1");
  assert.equal(find("DATABASE"), "b1 c1");
  assert.equal(find("timeouterror"), "c1");
  assert.equal(find("refused"), "b1");
  assert.equal(find("attempt"), "c1");
  assert.equal(find("b1"), "b1");
});

test("all words must be there; quotes hold them together", () => {
  assert.equal(find("database retry"), "c1");
  assert.equal(find('"connection refused"'), "b1");
  assert.equal(find('"refused connection"'), "");
});

test("fields and attributes can be named", () => {
  assert.equal(find("service:database"), "b1 c1");
  assert.equal(find("status:error"), "b1");
  assert.equal(find("kind:client"), "b1");
  assert.equal(find('name:"SELECT rows"'), "b1");
  assert.equal(find("attempt=12"), "c1");
  assert.equal(find("attempt=3"), "");
  assert.equal(find("http.route=/art"), "a1");
});

test("an empty query and hostile ones find nothing and do not throw", () => {
  for (const query of [
    "",
    "   ",
    '"',
    '""',
    "(",
    "[a-",
    "=",
    ":",
    "service:",
    "a=",
    "\\",
    "constructor:x",
    "__proto__:x",
  ]) {
    assert.doesNotThrow(() => find(query), query);
  }
  assert.equal(find(""), "");
});

test("matches with their ancestors", () => {
  assert.deepEqual(
    [...withAncestors(findSpans(tree, "retry"))].map((n) => n.span.spanId),
    ["c1", "b1", "a1"],
  );
});

test("next and previous go round", () => {
  const matches = findSpans(tree, "service:database");
  assert.equal(nextMatch(matches, -1, false)?.span.spanId, "b1");
  assert.equal(nextMatch(matches, 1, false)?.span.spanId, "c1");
  assert.equal(nextMatch(matches, 2, false)?.span.spanId, "b1");
  assert.equal(nextMatch(matches, 1, true)?.span.spanId, "c1");
  assert.equal(nextMatch([], 0, false), undefined);
});
