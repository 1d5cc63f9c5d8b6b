// Spans come from anybody: what they contain must never act.

import assert from "node:assert/strict";
import { test } from "node:test";
import { otlp, spanId } from "../tests/spans";
import { becomes, eventually, send, serve, visit } from "./world";

const markup = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>`;
const id = "5b8efff798038103d269b633813fc60c";

test("markup, scripts, disguised links and invisible characters are shown, not obeyed", async (t) => {
  const server = await serve();
  const value = (stringValue: string): { stringValue: string } => ({ stringValue });
  await send(
    server,
    otlp([
      {
        id: spanId(1),
        name: markup,
        service: `${markup}\u202egnp`,
        traceState: markup,
        status: { code: 2, message: markup },
        attributes: [
          { key: markup, value: value(markup) },
          { key: "script link", value: value("javascript:window.pwned=1") },
          { key: "data link", value: value("data:text/html,<script>window.pwned=1</script>") },
          { key: "good link", value: value("https://example.com/path?q=1") },
          { key: "user link", value: value("https://example.com@evil.example/") },
          { key: "bidi", value: value("user\u202etxt.exe") },
          { key: "zero width", value: value("ad\u200bmin") },
          { key: "__proto__", value: { kvlistValue: { values: [{ key: "__proto__", value: value("x") }] } } },
          { key: "empty", value: value("") },
          { key: "nothing", value: {} },
          {
            key: "deep",
            value: {
              arrayValue: {
                values: [{ kvlistValue: { values: [{ key: "a", value: { bytesValue: "AQI=" } }] } }],
              },
            },
          },
        ],
        events: [{ name: markup, timeUnixNano: "1", attributes: [{ key: markup, value: value(markup) }] }],
        links: [
          {
            traceId: id,
            spanId: spanId(1),
            traceState: markup,
            attributes: [{ key: markup, value: value(markup) }],
          },
        ],
      },
    ]),
  );
  const page = await visit(t, server.url);
  await page.locator(".trace-link").click();
  await page.locator(".row").first().click();
  const details = page.getByRole("complementary", { name: "Span details" });
  await details.waitFor();
  await eventually(
    () => details.innerText(),
    (text) => [markup, "user⟨U+202E⟩txt.exe", "ad⟨U+200B⟩min"].every((part) => text.includes(part)),
    "what was sent is not shown as text",
  );
  assert.equal(await page.evaluate(() => (window as { pwned?: number }).pwned), undefined);
  assert.equal(await page.locator("img, iframe, object, embed").count(), 0);
  const outside = await page
    .locator("a")
    .evaluateAll((all) =>
      (all as HTMLAnchorElement[])
        .filter((a) => a.origin !== location.origin)
        .map((a) => [a.href, a.rel, a.target]),
    );
  assert.deepEqual(outside, [["https://example.com/path?q=1", "noopener noreferrer nofollow", "_blank"]]);
  await becomes(() => page.title(), /^<img/);
});

test("values of a megabyte are clipped, and shown and copied on demand", async (t) => {
  const server = await serve();
  const long = `start ${"x".repeat(1_000_000)} end`;
  await send(
    server,
    otlp([
      {
        id: spanId(1),
        name: "n".repeat(100_000),
        attributes: [{ key: "long", value: { stringValue: long } }],
      },
    ]),
  );
  const page = await visit(t, `${server.url}/trace/${id}`, {
    permissions: ["clipboard-read", "clipboard-write"],
  });
  await page.locator(".row").first().click();
  const cell = page.locator(".attributes td", { hasText: "start" });
  assert.ok((await cell.innerText()).length < 800);
  await cell.getByRole("button", { name: "show all 1,000,010 characters" }).click();
  await becomes(() => cell.innerText(), /copy it for the rest/);
  assert.ok((await cell.innerText()).length > 200_000);
  await cell.getByRole("button", { name: "Copy the value of long" }).click();
  await page.getByText("Copied").first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), long);
});

test("thousands of attributes, events and links do not fill the document", async (t) => {
  const server = await serve();
  const many = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i));
  await send(
    server,
    otlp([
      {
        id: spanId(1),
        attributes: many(1_000, (i) => ({ key: `key ${i}`, value: { intValue: String(i) } })),
        events: many(1_000, (i) => ({ name: `event ${i}`, timeUnixNano: "1790000000000000001" })),
        links: many(1_000, () => ({ traceId: id, spanId: spanId(1) })),
      },
    ]),
  );
  const page = await visit(t, `${server.url}/trace/${id}`);
  await page.locator(".row").first().click();
  await page.getByRole("button", { name: "show all 1,000 attributes" }).click();
  await page.getByText("800 more events; the download has all.").waitFor();
  await page.getByText("800 more links; the download has all.").waitFor();
});

test("many services, and one with no colour left, are all in the legend", async (t) => {
  const server = await serve();
  await send(
    server,
    otlp(
      Array.from({ length: 60 }, (_, i) => ({
        id: spanId(i + 1),
        parent: i ? spanId(1) : "",
        service: `service ${i}`,
        start: i,
      })),
    ),
  );
  const page = await visit(t, `${server.url}/trace/${id}`);
  await page.locator(".row").first().waitFor();
  await becomes(() => page.locator(".legend li").count(), 60);
});

test("a chain of five thousand spans keeps its names readable", async (t) => {
  const server = await serve();
  await send(
    server,
    otlp(
      Array.from({ length: 5_000 }, (_, i) => ({
        id: spanId(i + 1),
        parent: i ? spanId(i) : "",
        name: `depth ${i}`,
        start: i,
        duration: 10_000 - i,
      })),
    ),
  );
  const page = await visit(t, `${server.url}/trace/${id}`);
  await page.locator(".row").first().waitFor();
  await page.keyboard.press("End");
  const name = page.locator(".row", { hasText: "depth 4999" }).locator(".row-name");
  await name.waitFor();
  const [label, box] = [await page.locator(".row .label").last().boundingBox(), await name.boundingBox()];
  assert.ok(
    label && box && box.x >= label.x && box.x + box.width <= label.x + label.width + 1 && box.width > 20,
    JSON.stringify({ label, box }),
  );
});
