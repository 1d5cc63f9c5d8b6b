import assert from "node:assert/strict";
import { test } from "node:test";
import { clip, oneLine, serviceLabel, visible, webLink } from "../src/lib/text";

test("characters that nobody sees are shown", () => {
  assert.equal(visible("GET\u202e/nimda"), "GET⟨U+202E⟩/nimda");
  assert.equal(visible("ad\u200bmin\ufeff"), "ad⟨U+200B⟩min⟨U+FEFF⟩");
  assert.equal(visible("\u0000\u001b[31m\u0085"), "⟨U+0000⟩⟨U+001B⟩[31m⟨U+0085⟩");
  assert.equal(visible("\u2066a\u2069\u{e0041}"), "⟨U+2066⟩a⟨U+2069⟩⟨U+E0041⟩");
  assert.equal(visible("tab\tand\nline"), "tab\tand\nline");
});

test("ordinary writing stays as it is", () => {
  for (const text of ["naïve café", "日本語", "שלום", "می‌خواهم", "👩‍💻 🏳️‍🌈", "क्‍ष"])
    assert.equal(visible(text), text);
  assert.equal(visible("ad\u200dmin"), "ad⟨U+200D⟩min");
});

test("clipping does not cut a character in two", () => {
  assert.equal(clip("ab😀c", 3), "ab");
  assert.equal(clip("ab😀c", 4), "ab😀");
  assert.equal(clip("ab", 5), "ab");
  assert.equal(oneLine("a\n  b\t\tc"), "a b c");
  assert.equal(oneLine("x".repeat(1_000_000)).length, 201);
});

test("only plain http and https URLs are links", () => {
  assert.equal(webLink("https://example.com/a?b=c#d"), "https://example.com/a?b=c#d");
  assert.equal(webLink("http://127.0.0.1:8001/x"), "http://127.0.0.1:8001/x");
  for (const text of [
    "javascript:alert(1)",
    "JAVASCRIPT:alert(1)",
    " https://example.com",
    "data:text/html,x",
    "https://user:pass@example.com",
    "https://exam ple.com",
    "https://example.com/\u202egnp.exe",
    "see https://example.com",
    "ftp://example.com",
    "https://",
    "",
    `https://example.com/${"a".repeat(3000)}`,
  ]) {
    assert.equal(webLink(text), undefined, text.slice(0, 60));
  }
});

test("a service without a name is called so", () => {
  assert.equal(serviceLabel(""), "(no service name)");
  assert.equal(serviceLabel("  "), "(no service name)");
  assert.equal(serviceLabel("a"), "a");
});
