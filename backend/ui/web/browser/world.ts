// The world of a browser test: the real program on free ports, a real Chromium,
// and OTLP sent to it. A page that logs an error, throws, breaks the content
// security policy or opens a dialog fails the test that it was opened in.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, type TestContext } from "node:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const chromiumPath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
// Tests run in backend/ui/web.
const backend = resolve("../..");
export const goldenTraces = resolve("../../../testdata/traces");

export interface Server {
  url: string;
  otlp: string;
  listen: string;
  otlpHttp: string;
  stop(): Promise<void>;
}

/** How long a condition may take on a machine that is busy with other things. */
const patience = 30_000;

const scratch = mkdtempSync(join(tmpdir(), "throughline-browser-"));
const running = new Set<ChildProcess>();
let browser: Promise<Browser> | undefined;
let program: string | undefined;

after(async () => {
  await (await browser)?.close();
  for (const child of running) child.kill("SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
});

/** THROUGHLINE_BIN, or the program built from the tree, with the committed bundle in it. */
function binary(): string {
  if (process.env["THROUGHLINE_BIN"]) return resolve(process.env["THROUGHLINE_BIN"]);
  if (!program) {
    program = join(scratch, "throughline");
    execFileSync("go", ["build", "-o", program, "./cmd/throughline"], { cwd: backend, stdio: "inherit" });
  }
  return program;
}

/** Starts the server, with further flags; with addresses of a former one, in its place. */
export async function serve(at?: { listen: string; otlpHttp: string }, ...flags: string[]): Promise<Server> {
  const child = spawn(
    binary(),
    [
      "serve",
      "--data",
      ":memory:",
      "--listen",
      at?.listen ?? "127.0.0.1:0",
      "--otlp-http",
      at?.otlpHttp ?? "127.0.0.1:0",
      "--otlp-grpc",
      "127.0.0.1:0",
      "--jaeger-grpc",
      "",
      ...flags,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  running.add(child);
  const exited = new Promise<void>((done) => {
    child.once("exit", () => {
      running.delete(child);
      done();
    });
  });
  let log = "";
  const [, listen = "", otlpHttp = ""] = await new Promise<RegExpExecArray>((done, fail) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      const ready = /msg=ready ui=http:\/\/(\S+) .*?otlp_http=(\S+)/.exec(log);
      if (ready) done(ready);
    });
    child.once("exit", () => fail(new Error(`throughline serve ended:\n${log}`)));
  });
  return {
    url: `http://${listen}`,
    otlp: `http://${otlpHttp}/v1/traces`,
    listen,
    otlpHttp,
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** Posts an export request; a file of the golden traces, or resourceSpans. */
export async function send(server: Server, what: string | unknown[]): Promise<void> {
  const body =
    typeof what === "string"
      ? readFileSync(join(goldenTraces, what), "utf8")
      : JSON.stringify({ resourceSpans: what });
  const answer = await fetch(server.otlp, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
  });
  assert.equal(answer.status, 200, await answer.text());
}

function launch(): Promise<Browser> {
  assert.ok(
    existsSync(chromiumPath),
    `no Chromium at ${chromiumPath}: install the package chromium, or set CHROMIUM`,
  );
  browser ??= chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
  return browser;
}

/** Opens a page in a fresh profile. */
export async function visit(t: TestContext, url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const { page, faults } = await visitWithFaults(t, url, options);
  t.after(() => assert.deepEqual(faults, [], "the page had faults"));
  return page;
}

/** The same, with the list of the page's faults, for tests that cause some. */
export async function visitWithFaults(
  t: TestContext,
  url: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; faults: string[] }> {
  const context = await (await launch()).newContext({ viewport: { width: 1280, height: 800 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const faults: string[] = [];
  page.on("pageerror", (err) => faults.push(`thrown: ${err.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") faults.push(`console: ${message.text()}`);
  });
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  return { page, faults };
}

/** Reads until check, which throws, has no complaint; then throws its last one. */
async function poll<T>(read: () => Promise<T>, check: (value: T) => void): Promise<void> {
  const until = Date.now() + patience;
  for (;;) {
    const value = await read();
    try {
      check(value);
      return;
    } catch (err) {
      if (Date.now() >= until) throw err;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Waits until a condition on the page's state holds. */
export function eventually<T>(
  read: () => Promise<T>,
  want: (value: T) => boolean,
  what: string,
): Promise<void> {
  return poll(read, (value) => assert.ok(want(value), `${what}; at last: ${JSON.stringify(value)}`));
}

/** Waits until what is read equals, or matches. What has to be so already, or to stay so, is asserted instead. */
export function becomes<T>(read: () => Promise<T>, want: T | RegExp): Promise<void> {
  return poll(read, (value) => {
    if (want instanceof RegExp) assert.match(String(value), want);
    else assert.deepEqual(value, want);
  });
}

/** The texts of all elements that match, without what is only for screen readers. */
export function texts(page: Page, selector: string): Promise<string[]> {
  return page.locator(selector).evaluateAll((all) =>
    all.map((element) => {
      const copy = element.cloneNode(true) as Element;
      for (const hidden of copy.querySelectorAll(".offscreen, .only-narrow")) hidden.remove();
      return (copy.textContent ?? "").replace(/\s+/g, " ").trim();
    }),
  );
}
