import assert from "node:assert/strict";
import { test } from "node:test";
import { otlp, type SpanSpec, spanId } from "../tests/spans";
import { becomes, eventually, send, serve, texts, visit, visitWithFaults } from "./world";

const nowNanos = (): number => Date.now() - 1_790_000_000_000;
/** A root span that starts now, or some milliseconds ago. */
function fresh(
  id: number,
  more: Partial<SpanSpec> = {},
  agoMillis = 0,
): { traceId: string; spans: unknown[] } {
  const traceId = id.toString(16).padStart(32, "0");
  const spec: SpanSpec = {
    id: spanId(1),
    name: `request ${id}`,
    service: "shop",
    start: (nowNanos() - agoMillis) * 1e6,
    duration: 5e6,
    kind: 2,
    ...more,
  };
  return { traceId, spans: otlp([spec], traceId) };
}

test("the empty page diagnoses, and a trace appears in it by itself", async (t) => {
  const server = await serve();
  const page = await visit(t, server.url);
  await page.getByRole("heading", { name: "Waiting for the first trace" }).waitFor();
  await becomes(
    () => page.locator(".diagnosis").innerText(),
    new RegExp(`Nothing has been received .* HTTP ${server.otlpHttp.replaceAll(".", "\\.")}`, "s"),
  );

  // A wrong path is the commonest mistake: the page says so.
  assert.equal(
    (await fetch(server.otlp.replace("/v1/traces", "/v1/trace"), { method: "POST", body: "{}" })).status,
    404,
  );
  await page.locator(".diagnosis .notice", { hasText: "/v1/trace" }).waitFor();

  // The command on the page works as it is shown.
  const command = await page.locator(".way pre", { hasText: "/v1/traces" }).innerText();
  const [, url, body] = /^curl (\S+) .*-d '(.*)'$/s.exec(command.trim()) ?? [];
  const sent = Date.now();
  const answer = await fetch(url ?? "", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: body ?? "",
  });
  assert.equal(answer.status, 200);
  await page.getByRole("link", { name: "my first span" }).waitFor();
  t.diagnostic(`shown ${Date.now() - sent} ms after it was sent`);
  await becomes(() => texts(page, ".traces tbody .c-services .chip"), ["hello-service1"]);
});

test("rows say what there is: root, duration, spans, services, errors, what is missing", async (t) => {
  const server = await serve();
  for (const name of [
    "articles-with-suggested.json",
    "duplicate-spans.json",
    "empty-service-name.json",
    "orphan-spans.json",
  ])
    await send(server, name);
  await send(server, otlp([{ id: spanId(2), parent: spanId(1), name: "no root" }], "ab".padStart(32, "0")));
  const page = await visit(t, server.url);
  await page.locator(".traces tbody tr").nth(4).waitFor();
  const row = (name: string): Promise<string[]> =>
    texts(page, `.traces tbody tr:has(.trace-link:has-text("${name}")) td:not(.c-time)`);
  const root = (name: string) => async (): Promise<string | undefined> => (await row(name))[0];
  const facts = (name: string) => async (): Promise<string[]> => (await row(name)).slice(1);
  await becomes(root("GET /articles/v1/"), /^articles-serviceGET \/articles\/v1\//);
  await becomes(facts("GET /articles/v1/"), ["14 ms", "11", "articles-service7suggestions-service4", "–"]);
  await becomes(facts("POST /pay"), ["70 ms", "2", "payments2", "1 error"]);
  await becomes(root("GET /cart"), /2 spans without their parent/);
  await becomes(root("no root"), /root span has not arrived/);
  await becomes(root("job"), /^\(no service name\)job/);
  let kid = 10;
  await eventually(
    async () => {
      await send(
        server,
        otlp([{ id: spanId(kid++), parent: spanId(1), start: nowNanos() * 1e6 }], "cd".padStart(32, "0")),
      );
      return page.getByText("still arriving").count();
    },
    (n) => n > 0,
    "a trace that grows is not called arriving",
  );
  await eventually(
    () => page.getByText("still arriving").count(),
    (n) => n === 0,
    "quiet traces go on being called arriving",
  );
});

test("a trace that grows stays one row and is updated in its place", async (t) => {
  const server = await serve();
  const { traceId, spans } = fresh(7);
  const page = await visit(t, server.url);
  await send(server, spans);
  await page.getByRole("link", { name: "request 7" }).waitFor();
  await send(
    server,
    otlp(
      [{ id: spanId(2), parent: spanId(1), service: "stock", start: nowNanos() * 1e6, status: { code: 2 } }],
      traceId,
    ),
  );
  await becomes(() => texts(page, ".traces .c-spans"), ["Spans", "2"]);
  await becomes(() => texts(page, ".traces tbody .c-errors"), ["1 error"]);
  await becomes(() => texts(page, ".traces tbody .chip"), ["shop1", "stock1"]);
});

test("paused, the list stays as it is; resumed, it has all", async (t) => {
  const server = await serve();
  await send(server, fresh(1).spans);
  const page = await visit(t, server.url);
  await page.getByRole("link", { name: "request 1" }).waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  for (const id of [2, 3]) await send(server, fresh(id, {}, -id).spans);
  await page.getByRole("button", { name: "2 new traces" }).waitFor();
  assert.deepEqual(await texts(page, ".trace-link"), ["request 1"]);
  await page.getByRole("button", { name: "2 new traces" }).click();
  await becomes(() => texts(page, ".trace-link"), ["request 3", "request 2", "request 1"]);
  await send(server, fresh(4, {}, -9).spans);
  await page.getByRole("button", { name: "1 new trace" }).waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await becomes(async () => (await texts(page, ".trace-link"))[0], "request 4");
});

test("scrolled down, rows do not move", async (t) => {
  const server = await serve();
  for (let id = 1; id <= 40; id++) await send(server, fresh(id, {}, 1000 - id).spans);
  const page = await visit(t, server.url);
  await page.getByRole("link", { name: "request 40", exact: true }).waitFor();
  await page.evaluate(() => window.scrollTo(0, 400));
  await page.waitForFunction(() => window.scrollY > 100);
  const place = await page.getByRole("link", { name: "request 20", exact: true }).boundingBox();
  await send(server, fresh(100).spans);
  await page.getByRole("button", { name: "1 new trace" }).waitFor();
  assert.deepEqual(await page.getByRole("link", { name: "request 20", exact: true }).boundingBox(), place);
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.getByRole("link", { name: "request 100" }).waitFor();
});

test("filters act on what is stored and on what arrives, and live in the URL", async (t) => {
  const server = await serve();
  await send(server, fresh(1, { service: "shop", duration: 5e6 }).spans);
  await send(server, fresh(2, { service: "stock", duration: 900e6, status: { code: 2 } }).spans);
  await send(
    server,
    fresh(3, { service: "", attributes: [{ key: "http.response.status_code", value: { intValue: "503" } }] })
      .spans,
  );
  const page = await visit(t, server.url);
  const shown = (want: string): Promise<void> =>
    becomes(async () => (await texts(page, ".trace-link")).sort().join(), want);
  await shown("request 1,request 2,request 3");

  await page.getByLabel("Service", { exact: true }).selectOption({ label: "stock" });
  await shown("request 2");
  await page.waitForURL(/\/search\?service=stock$/);
  await send(server, fresh(4, { service: "stock" }).spans);
  await send(server, fresh(5, { service: "shop" }).spans);
  await shown("request 2,request 4");

  await page.getByLabel("Longer than").fill("500 ms");
  await page.keyboard.press("Enter");
  await shown("request 2");
  // The link alone shows the same to somebody else.
  const other = await visit(t, page.url());
  await becomes(() => texts(other, ".trace-link"), ["request 2"]);
  await becomes(() => other.getByLabel("Longer than").inputValue(), "500 ms");

  await page.getByLabel("Longer than").fill("5 apples");
  await page.keyboard.press("Enter");
  await page.getByText("Want a duration such as 250ms or 1.5s.").waitFor();

  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("Attribute").fill("http.response.status_code=503");
  await page.keyboard.press("Enter");
  await shown("request 3");
  await page.getByRole("button", { name: "Remove http.response.status_code=503" }).click();
  await page.getByLabel("Service", { exact: true }).selectOption({ label: "(no service name)" });
  await shown("request 3");
  await page.goBack();
  await page.getByLabel("Status").selectOption("error");
  await shown("request 2");
  await page.getByLabel("Kind").selectOption("consumer");
  await page.getByText("No trace fits this filter.").waitFor();
  await page.getByRole("link", { name: "Clear the filter" }).click();
  await shown("request 1,request 2,request 3,request 4,request 5");
  await page.getByLabel("Time").selectOption("5m");
  await shown("request 1,request 2,request 3,request 4,request 5");
});

test("going back from a trace shows the list as it was left", async (t) => {
  const server = await serve();
  for (let id = 1; id <= 40; id++) await send(server, fresh(id, {}, 1000 - id).spans);
  const page = await visit(t, `${server.url}/search?service=shop`);
  await page.getByRole("link", { name: "request 5", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "request 5" }).waitFor();
  await page.goBack();
  await page.getByRole("link", { name: "request 5", exact: true }).waitFor();
  await page.waitForFunction(() => window.scrollY > 100);
  assert.match(page.url(), /service=shop/);
});

test("the server goes and comes back while the page is open", async (t) => {
  const first = await serve();
  await send(first, fresh(1).spans);
  const { page } = await visitWithFaults(t, first.url);
  await page.getByRole("link", { name: "request 1" }).waitFor();
  await first.stop();
  await page.getByText("Not connected").waitFor();
  const second = await serve(first);
  await page.getByText("Live", { exact: true }).waitFor();
  // What was in memory is gone, and the page does not pretend otherwise.
  await page.getByRole("heading", { name: "Waiting for the first trace" }).waitFor();
  await send(second, fresh(2).spans);
  await page.getByRole("link", { name: "request 2" }).waitFor();
});

test("five thousand traces arriving at once leave a list that works", async (t) => {
  const server = await serve();
  const page = await visit(t, server.url);
  await page.getByRole("heading", { name: "Waiting for the first trace" }).waitFor();
  for (let batch = 0; batch < 50; batch++) {
    await send(server, Array.from({ length: 100 }, (_, i) => fresh(batch * 100 + i + 1).spans).flat());
  }
  await send(server, fresh(9999, { name: "the last" }, -60_000).spans);
  await page.getByRole("link", { name: "the last" }).waitFor();
  assert.equal(await page.locator(".traces tbody tr").count(), 100);
  await eventually(
    () => page.locator(".list-foot").innerText(),
    (s) => s.includes("5,001 traces"),
    "the footer counts",
  );
  await page.getByRole("button", { name: "Show more" }).click();
  await becomes(() => page.locator(".traces tbody tr").count(), 300);
});

test("events that were left out are asked for again", async (t) => {
  const server = await serve();
  await send(server, fresh(1).spans);
  const page = await visit(t, "about:blank");
  let asked = 0;
  page.on("request", (request) => {
    if (/\/traces\?/.test(request.url())) asked++;
  });
  // The real server says this only to a client that is too slow for it.
  await page.route(
    "**/stream*",
    (route) => route.fulfill({ contentType: "text/event-stream", body: "event: reset\ndata: {}\n\n" }),
    { times: 1 },
  );
  await page.goto(server.url);
  await page.getByRole("link", { name: "request 1" }).waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  // On opening, for the reset, and on opening again.
  await eventually(
    async () => asked,
    (n) => n >= 3,
    "it does not ask again",
  );
});

test("a page that nobody looks at lets its connection go, and catches up", async (t) => {
  const server = await serve();
  const page = await visit(t, "about:blank");
  const streams: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("/stream")) streams.push(request.url());
  });
  await page.goto(server.url);
  await page.getByText("Live", { exact: true }).waitFor();
  const look = (hidden: boolean): Promise<void> =>
    page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { configurable: true, value });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  const gone = page.waitForEvent("requestfailed", (request) => request.url().includes("/stream"));
  await look(true);
  await gone;
  await send(server, fresh(1).spans);
  await look(false);
  await page.getByRole("link", { name: "request 1" }).waitFor();
  assert.equal(streams.length, 2);
});

test("behind a proxy that holds events back, the list and its status are still there", async (t) => {
  const server = await serve();
  const { page } = await visitWithFaults(t, "about:blank");
  await page.route("**/stream*", () => {
    // Never answered.
  });
  await page.goto(server.url);
  await page.locator(".diagnosis", { hasText: server.otlpHttp }).waitFor();
  await send(server, fresh(1).spans);
  await page.reload();
  await page.getByRole("link", { name: "request 1" }).waitFor();
});

test("an answer that nobody expected leaves words, not a blank page", async (t) => {
  const server = await serve();
  await send(server, fresh(1).spans);
  const { page } = await visitWithFaults(t, "about:blank");
  await page.route("**/stream*", (route) =>
    route.fulfill({ contentType: "text/event-stream", body: "event: status\ndata: {}\n\n" }),
  );
  await page.goto(server.url);
  await page.getByRole("heading", { name: "This page could not be drawn" }).waitFor();
  await page.getByRole("button", { name: "Reload" }).waitFor();
});
