import assert from "node:assert/strict";
import { test } from "node:test";
import { otlp, spanId } from "../tests/spans";
import { send, serve, visitWithFaults } from "./world";

const token = "token-of-the-browser-tests";
const traceId = "1".padStart(32, "0");
const spans = (service: string): unknown[] =>
  otlp([{ id: spanId(1), name: "secret", service, start: 0, duration: 5e6 }], traceId);

test("the page of a server with a token leads to the login, back, and there again", async (t) => {
  const server = await serve(undefined, "--api-token", token);
  await send(server, spans("vault"));
  const { page } = await visitWithFaults(t, `${server.url}/trace/${traceId}`);
  assert.equal(new URL(page.url()).pathname, "/login");
  assert.ok(!(await page.content()).includes("secret"));

  await page.getByLabel("Token").fill("not-the-token-of-the-server");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").waitFor();

  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(`${server.url}/trace/${traceId}`);
  await page.getByText("secret").first().waitFor();

  // The stream needs the session too: what arrives is shown, and when the session is
  // gone the page leaves for the login.
  await page.goto(server.url);
  await page.getByRole("status").getByText("Live").waitFor();
  await page.context().clearCookies();
  await server.stop();
  await serve(server, "--api-token", token);
  await page.waitForURL(/\/login\?next=%2F$/);
});
