import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { traceIds } from "../src/lib/otlp";
import { distance, visions } from "../tests/colour-vision";
import { epoch, otlp, spanId } from "../tests/spans";
import { becomes, eventually, goldenTraces, send, serve, texts, visit, visitWithFaults } from "./world";

function golden(name: string): { id: string; resourceSpans: unknown[] } {
  const { resourceSpans } = JSON.parse(readFileSync(join(goldenTraces, name), "utf8")) as {
    resourceSpans: unknown[];
  };
  return { id: traceIds(resourceSpans)[0] ?? "", resourceSpans };
}
const rows = (page: Page): Promise<string[]> => texts(page, ".row .label");
const rowNames = (page: Page): Promise<string[]> => texts(page, ".row .row-name");
const rowCount = (page: Page): Promise<number> => page.locator(".row").count();

test("the waterfall shows both services in the order of the tree", async (t) => {
  const server = await serve();
  const { id } = golden("articles-with-suggested.json");
  await send(server, "articles-with-suggested.json");
  const page = await visit(t, server.url);
  await page.getByRole("link", { name: "GET /articles/v1/" }).click();
  await page.locator(".row").first().waitFor();
  assert.equal(page.url(), `${server.url}/trace/${id}`);
  await becomes(
    () => rows(page),
    [
      "articles-serviceGET /articles/v1/",
      "request decoder",
      "get articles endpoint",
      "Service.GetArticles",
      "GET /suggestions/v1/{id}",
      "suggestions-serviceGET /suggestions/v1/<article_id>",
      "SuggestionsService.get_suggestions_for_article",
      "GET /suggestions/v1/{id}",
      "suggestions-serviceGET /suggestions/v1/<article_id>",
      "SuggestionsService.get_suggestions_for_article",
      "response encoder",
    ],
  );
  await becomes(
    () => page.locator(".row").evaluateAll((all) => all.map((row) => Number(row.getAttribute("aria-level")))),
    [1, 2, 2, 3, 4, 5, 6, 4, 5, 6, 2],
  );
  await becomes(() => texts(page, ".legend li"), ["articles-service7 spans", "suggestions-service4 spans"]);
});

test("the two services are told apart on the screen, in both themes, by any eye", async (t) => {
  const server = await serve();
  const { id } = golden("articles-with-suggested.json");
  await send(server, "articles-with-suggested.json");
  for (const colorScheme of ["light", "dark"] as const) {
    const page = await visit(t, `${server.url}/trace/${id}`, { colorScheme });
    const colour = async (row: number): Promise<string> => {
      const rgb = await page
        .locator(".bar")
        .nth(row)
        .evaluate((bar) => getComputedStyle(bar).backgroundColor);
      return `#${(rgb.match(/\d+/g) ?? []).map((n) => Number(n).toString(16).padStart(2, "0")).join("")}`;
    };
    const [articles, suggestions] = [await colour(0), await colour(5)];
    for (const vision of visions) {
      const d = distance(articles, suggestions, vision);
      assert.ok(d >= 50, `${colorScheme}, ${vision}: ${articles} and ${suggestions} have ΔE ${d.toFixed(1)}`);
    }
  }
});

test("the keyboard does all of it", async (t) => {
  const server = await serve();
  const { id } = golden("articles-with-suggested.json");
  await send(server, "articles-with-suggested.json");
  const page = await visit(t, `${server.url}/trace/${id}`);
  await page.locator(".row").first().waitFor();
  const press = async (...keys: string[]): Promise<void> => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const cursor = (): Promise<string> => page.locator(".row.cursor .row-name").innerText();

  await press("ArrowDown", "ArrowDown", "ArrowDown");
  await becomes(cursor, "get articles endpoint");
  await press("ArrowLeft");
  await becomes(
    () => rowNames(page),
    ["GET /articles/v1/", "request decoder", "get articles endpoint", "response encoder"],
  );
  await becomes(async () => (await rows(page))[2], /\+7$/);
  await press("ArrowRight", "ArrowRight");
  await becomes(cursor, "Service.GetArticles");
  await press("ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft");
  await becomes(cursor, "GET /articles/v1/");
  await press("]");
  await becomes(() => rowCount(page), 1);
  await press("o");
  await becomes(() => rowCount(page), 4);
  await press("o");
  await becomes(() => rowCount(page), 5);
  await press("[");
  await becomes(() => rowCount(page), 11);
  await press("p");
  await becomes(() => rowCount(page), 9);
  await press("[", "End");
  await becomes(cursor, "response encoder");
  await press("Home", "f", "Enter");
  await page
    .getByRole("complementary", { name: "Span details" })
    .getByRole("heading", { name: "request decoder" })
    .waitFor();
  await press("f");
  await page.getByRole("complementary").getByRole("heading", { name: "get articles endpoint" }).waitFor();
  await page.waitForURL(/\?span=[0-9a-f]{16}$/);
  await press("Escape");
  await page.getByRole("complementary").waitFor({ state: "detached" });

  await press("+");
  await becomes(() => page.getByRole("button", { name: "Whole" }).isEnabled(), true);
  await press("0");
  await becomes(() => page.getByRole("button", { name: "Whole" }).isDisabled(), true);
  await press("?");
  await page.getByRole("dialog").getByText("collapse one level").waitFor();
  await press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });

  await press("/");
  await page.keyboard.type("suggestions-service");
  await becomes(() => page.locator(".find-count").innerText(), "4 matches");
  await press("Enter");
  await becomes(cursor, "GET /suggestions/v1/<article_id>");
  await becomes(() => page.locator(".find-count").innerText(), "1 of 4");
  await press("Shift+Enter");
  await becomes(() => page.locator(".find-count").innerText(), "4 of 4");
  await page.getByLabel("only matches").check();
  await becomes(() => rowCount(page), 9);
  await press("Escape");
  await becomes(() => rowCount(page), 11);
});

test("details: attributes, events with their times, links to other traces", async (t) => {
  const server = await serve();
  const { resourceSpans } = golden("links-across-traces.json");
  await send(server, "links-across-traces.json");
  const [producer = "", consumer = ""] = traceIds(resourceSpans);
  const page = await visit(t, `${server.url}/trace/${consumer}`);
  await page.locator(".row").first().click();
  const details = page.getByRole("complementary", { name: "Span details" });
  await details.getByRole("heading", { name: "process orders" }).waitFor();
  await becomes(async () => (await texts(page, ".details .events li"))[0], /^\+20 ms ?exception/);
  await becomes(() => details.innerText(), /out of stock/);
  await details.getByRole("link", { name: producer }).click();
  await page.getByRole("heading", { level: 1, name: "POST /orders" }).waitFor();
  await page.getByRole("complementary").getByRole("heading", { name: "send orders" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { level: 1, name: "process orders" }).waitFor();
});

test("a deep link opens the span, and an unknown one says so", async (t) => {
  const server = await serve();
  const spans = Array.from({ length: 500 }, (_, i) => ({
    id: spanId(i + 1),
    parent: i === 0 ? "" : spanId(1),
    name: `step ${i}`,
    start: i,
  }));
  await send(server, otlp(spans));
  const id = "5b8efff798038103d269b633813fc60c";
  const page = await visit(t, `${server.url}/trace/${id}?span=${spanId(400)}`);
  await page.getByRole("complementary").getByRole("heading", { name: "step 399" }).waitFor();
  // The list is scrolled to it, and draws it in a later frame.
  await page.locator(".row.selected", { hasText: "step 399" }).waitFor();
  const upper = await visit(t, `${server.url}/trace/${id.toUpperCase()}?span=${spanId(9999)}`);
  await upper.getByText("has not arrived").waitFor();
});

test("what is odd about a trace is said in words", async (t) => {
  const server = await serve();
  const cases: [string, RegExp, string[]][] = [
    ["orphan-spans.json", /2 spans name parents that have not arrived/, ["parent missing", "parent missing"]],
    ["parent-cycle.json", /2 groups of spans are each other’s parents/, ["parent cycle", "parent cycle"]],
    [
      "clock-skew.json",
      /1 span of back starts before its parent in front: the clocks of the two differ by at least 5 s\. Times are shown as they were recorded/,
      [],
    ],
  ];
  for (const [name, notice, marks] of cases) {
    await send(server, name);
    const page = await visit(t, `${server.url}/trace/${golden(name).id}`);
    await page.locator(".row").first().waitFor();
    await becomes(async () => (await texts(page, ".notices")).join(), notice);
    await becomes(() => texts(page, ".row .note"), marks);
  }
});

test("errors are marked by icon and word, also when they are collapsed", async (t) => {
  const server = await serve();
  await send(server, "duplicate-spans.json");
  const page = await visit(t, `${server.url}/trace/${golden("duplicate-spans.json").id}`);
  const mark = page.locator(".row", { hasText: "charge card" }).locator(".error-text");
  await becomes(() => mark.innerText(), "error");
  await becomes(() => mark.locator("svg").count(), 1);
  await page.keyboard.press("]");
  await becomes(() => page.locator(".row .error-text").getAttribute("title"), "1 error below");
  await page.keyboard.press("e");
  await becomes(() => page.locator(".row.cursor .row-name").innerText(), "charge card");
});

test("a trace fills in while one looks: root last, order kept, place kept", async (t) => {
  const server = await serve();
  const id = "0af7651916cd43dd8448eb211c80319c";
  // Opened before anything has arrived: it waits.
  const { page } = await visitWithFaults(t, `${server.url}/trace/${id}`);
  await page.getByRole("heading", { name: "This trace is not here" }).waitFor();
  const kids = (from: number, to: number): unknown[] =>
    otlp(
      Array.from({ length: to - from }, (_, i) => ({
        id: spanId(from + i),
        parent: spanId(1),
        name: `kid ${from + i}`,
        start: (from + i) * 1e6,
        duration: 1e6,
      })),
      id,
    );
  await send(server, kids(100, 200));
  await page.getByText("The root span has not arrived").waitFor();
  // Somebody reads in the middle …
  await page.locator(".rows").evaluate((element) => {
    element.scrollTop = 50 * 28;
  });
  await page.locator(".row", { hasText: "kid 150" }).click();
  const place = await page.locator(".row.selected").boundingBox();
  // … while earlier spans and the root come in above.
  await send(server, kids(50, 100));
  await send(server, otlp([{ id: spanId(1), name: "the root", start: 0, duration: 300e6 }], id));
  await page.getByRole("heading", { level: 1, name: "the root" }).waitFor();
  await eventually(
    async () => (await page.locator(".row.selected").boundingBox())?.y,
    (y) => y !== undefined && Math.abs(y - (place?.y ?? 0)) <= 60,
    "the row being read has moved",
  );
  await becomes(() => page.getByText("The root span has not arrived").count(), 0);
  await becomes(() => page.locator(".rows").getAttribute("aria-rowcount"), "151");
  const arriving = page.locator(".trace-head").getByText("still arriving");
  let kid = 300;
  await eventually(
    async () => {
      await send(server, kids(kid, ++kid));
      return arriving.count();
    },
    (n) => n > 0,
    "a trace that grows is not called arriving",
  );
  await eventually(
    () => arriving.count(),
    (n) => n === 0,
    "it goes on arriving",
  );
});

test("the download is the OTLP JSON that can be sent again", async (t) => {
  const server = await serve();
  const { id } = golden("articles-with-suggested.json");
  await send(server, "articles-with-suggested.json");
  const page = await visit(t, `${server.url}/trace/${id}`);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "OTLP JSON" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), `trace-${id}.json`);
  const body = JSON.parse(readFileSync(await download.path(), "utf8")) as { resourceSpans: unknown[] };
  const other = await serve();
  await send(other, body.resourceSpans);
  const answer = (await (await fetch(`${other.url}/api/native/v1/traces/${id}`)).json()) as {
    trace: { spanCount: number };
  };
  assert.equal(answer.trace.spanCount, 11);
});

test("the server forgets the trace: what was seen stays, and says so", async (t) => {
  const first = await serve();
  const { id } = golden("article-diagram.json");
  await send(first, "article-diagram.json");
  const { page } = await visitWithFaults(t, `${first.url}/trace/${id}`);
  await page.locator(".row").first().waitFor();
  await first.stop();
  await page.getByText("Not connected").waitFor();
  assert.equal(await rowCount(page), 5);
  await serve(first);
  await page.getByText("does not hold this trace any more").waitFor();
  assert.equal(await rowCount(page), 5);
});

test("zoom by dragging over the overview", async (t) => {
  const server = await serve();
  const { id } = golden("article-diagram.json");
  await send(server, "article-diagram.json");
  const page = await visit(t, `${server.url}/trace/${id}`);
  await page.locator(".row").first().waitFor();
  const box = await page.locator(".minimap").boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 20, { steps: 5 });
  await page.mouse.up();
  await eventually(
    () => texts(page, ".tick"),
    (ticks) => ticks.includes("300 ms") && !ticks.includes("0"),
    "the ruler shows what was dragged over",
  );
  await becomes(async () => (await texts(page, ".row .lane"))[1], /^← 100 ms/);
  await page.locator(".minimap").dblclick();
  await becomes(async () => (await texts(page, ".tick"))[0], "0");
});

test("ten thousand and a hundred thousand spans: few rows in the document, the last one reachable", async (t) => {
  const server = await serve();
  for (const n of [10_000, 100_000]) {
    const traceId = n.toString().padStart(32, "0");
    for (let from = 0; from < n; from += 5_000) {
      await send(server, [
        {
          resource: {
            attributes: [{ key: "service.name", value: { stringValue: `service-${(from / 5_000) % 4}` } }],
          },
          scopeSpans: [
            {
              spans: Array.from({ length: 5_000 }, (_, i) => {
                const k = from + i + 1;
                return {
                  traceId,
                  spanId: spanId(k),
                  parentSpanId: k === 1 ? "" : spanId(Math.max(1, Math.floor(k / 3))),
                  name: `work ${k}`,
                  startTimeUnixNano: String(epoch + BigInt(k) * 1000n),
                  endTimeUnixNano: String(epoch + BigInt(k) * 1000n + 500_000n),
                  attributes: [{ key: "k", value: { intValue: String(k) } }],
                };
              }),
            },
          ],
        },
      ]);
    }
    const page = await visit(t, "about:blank");
    const opened = Date.now();
    await page.goto(`${server.url}/trace/${traceId}`);
    await page.locator(".row").first().waitFor({ timeout: 60_000 });
    t.diagnostic(`${n} spans: first rows after ${Date.now() - opened} ms`);
    assert.equal(await page.locator(".rows").getAttribute("aria-rowcount"), String(n));
    const jumped = Date.now();
    await page.keyboard.press("End");
    await page.locator(`.row[aria-rowindex="${n}"]`).waitFor();
    t.diagnostic(`${n} spans: the last row after ${Date.now() - jumped} ms`);
    assert.ok((await page.locator(".row").count()) < 100);
    // Frames while scrolling through it.
    const frames = await page.locator(".rows").evaluate(async (element) => {
      const times: number[] = [];
      let before = performance.now();
      for (let i = 0; i < 60; i++) {
        element.scrollTop -= 700;
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - before);
        before = performance.now();
      }
      return times.sort((a, b) => a - b);
    });
    t.diagnostic(
      `${n} spans: frames while scrolling: median ${frames[30]?.toFixed(1)} ms, worst ${frames[59]?.toFixed(1)} ms`,
    );
    const asked = Date.now();
    await page.keyboard.press("/");
    await page.keyboard.type(`k=${n}`);
    await becomes(() => page.locator(".find-count").innerText(), "1 match");
    t.diagnostic(`${n} spans: found by attribute after ${Date.now() - asked} ms`);
    await page.keyboard.press("Enter");
    await page.locator(".row.found", { hasText: `work ${n}` }).waitFor();
  }
});
