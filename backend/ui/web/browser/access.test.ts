// Accessibility and sizes: axe's rules for WCAG 2.2 AA on every page in both
// themes, 320 pixels of width, and a page magnified to 200 %.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { becomes, eventually, send, serve, visit } from "./world";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Violation {
  id: string;
  help: string;
  nodes: { html: string; failureSummary: string }[];
}

async function audit(page: Page, what: string): Promise<void> {
  await page.evaluate(axe);
  const violations = (await page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(context: Document, options: unknown): Promise<{ violations: unknown[] }> };
    };
    return (
      await axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      })
    ).violations;
  })) as Violation[];
  assert.deepEqual(
    violations.map(
      (v) =>
        `${v.id}: ${v.help}: ${v.nodes.map((n) => `${n.html.slice(0, 200)} ${n.failureSummary}`).join(" | ")}`,
    ),
    [],
    what,
  );
}

const golden = [
  "articles-with-suggested.json",
  "clock-skew.json",
  "duplicate-spans.json",
  "links-across-traces.json",
  "orphan-spans.json",
  "parent-cycle.json",
];

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing, ${colorScheme}`, async (t) => {
    const server = await serve();
    const page = await visit(t, server.url, { colorScheme });
    await page.getByRole("heading", { name: "Waiting for the first trace" }).waitFor();
    await audit(page, "empty");
    for (const name of golden) await send(server, name);
    await page.locator(".traces tbody tr").nth(6).waitFor();
    await audit(page, "list");
    await page.getByRole("link", { name: "GET /cart" }).click();
    await page.locator(".row").first().click();
    await page.getByRole("complementary").waitFor();
    await audit(page, "trace");
    await page.keyboard.press("/");
    await page.keyboard.type("cart");
    await audit(page, "finding");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await audit(page, "help");
    await page.goto(`${server.url}/search?minDuration=x&attr=a%3Db`);
    await page.getByText("Want a duration").waitFor();
    await audit(page, "faulty filter");
  });
}

test("no sideways scrolling at 320 pixels, nor at 200 %", async (t) => {
  const server = await serve();
  const sizes = [
    { viewport: { width: 320, height: 640 } },
    // 1280 by 720 magnified twice.
    { viewport: { width: 640, height: 360 }, deviceScaleFactor: 2 },
  ];
  for (const size of sizes) {
    const page = await visit(t, server.url, size);
    const fits = async (what: string): Promise<void> => {
      const [inner, outer] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        window.innerWidth,
      ]);
      assert.ok(
        (inner ?? 0) <= (outer ?? 0),
        `${what} at ${size.viewport.width}: ${inner} is wider than ${outer}`,
      );
    };
    await page.locator(".empty, .traces").first().waitFor();
    await fits("first page");
    for (const name of golden) await send(server, name);
    await page.locator(".traces tbody tr").first().waitFor();
    await fits("list");
    await page.getByRole("button", { name: "Filter" }).click();
    await fits("filters");
    await page.getByRole("link", { name: "GET /articles/v1/" }).click();
    await page.locator(".row").nth(3).click();
    await page.getByRole("complementary").waitFor();
    await fits("trace");
    const row = await page.locator(".row .row-name").nth(5).boundingBox();
    assert.ok(row && row.width > 60, `names have room: ${JSON.stringify(row)}`);
  }
});

test("the theme can be switched, and stays", async (t) => {
  const server = await serve();
  const page = await visit(t, server.url, { colorScheme: "dark" });
  const ground = (): Promise<string> =>
    page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await ground();
  await page.getByRole("button", { name: "Colours: system" }).click();
  await eventually(ground, (now) => now !== dark, "the page stays dark");
  await page.reload();
  assert.notEqual(await ground(), dark);
  await page.getByRole("button", { name: "Colours: light" }).click();
  await becomes(ground, dark);
});

test("the whole of it works from the keyboard: skip link, list, trace and back", async (t) => {
  const server = await serve();
  for (const name of golden) await send(server, name);
  const page = await visit(t, server.url);
  await page.locator(".traces tbody tr").nth(6).waitFor();
  await page.keyboard.press("Tab");
  const focused = (): Promise<string | undefined> =>
    page.evaluate(() => document.activeElement?.textContent?.trim());
  await becomes(focused, "Skip to the content");
  await page.locator(".trace-link").first().focus();
  await page.keyboard.press("ArrowDown");
  const second = await page.locator(".trace-link").nth(1).innerText();
  await becomes(focused, second);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: second }).waitFor();
});
