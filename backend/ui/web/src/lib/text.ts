// Makes text from spans safe to show. It goes into text nodes only, so markup
// does nothing; what is left to do is characters that nobody sees (controls,
// zero-width, direction overrides), which could make one name look like another
// or turn the line around, and sheer length.

// Controls but tab and line feed, soft hyphen, zero-width and direction
// characters, line and paragraph separators, byte order mark, tag characters.
const invisible =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

// A joiner after one of these is ordinary writing: Persian, Indic scripts, emoji.
const joins =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points are meant
  /[\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Malayalam}\p{Script=Sinhala}\p{Extended_Pictographic}\u{1f3fb}-\u{1f3ff}\ufe0f]$/u;

/** Replaces characters that cannot be seen by their code point in brackets: `a⟨U+200B⟩b`. */
export function visible(text: string): string {
  return text.replace(invisible, (c: string, at: number, whole: string) => {
    if ((c === "\u200c" || c === "\u200d") && joins.test(whole.slice(Math.max(0, at - 2), at))) return c;
    return `⟨U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** The first `length` UTF-16 units, not cutting a surrogate pair in two. */
export function clip(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.charCodeAt(length - 1);
  return text.slice(0, cut >= 0xd800 && cut <= 0xdbff ? length - 1 : length);
}

/** One line for rows and titles: clipped, visible, whitespace collapsed. */
export function oneLine(text: string, length = 200): string {
  const short = clip(text, length);
  const line = visible(short.replace(/\s+/gu, " "));
  return short.length < text.length ? `${line}…` : line;
}

/** The URL, when the text is nothing but an http or https URL; what else it says is not followed. */
export function webLink(text: string): string | undefined {
  if (text.length > 2048 || !/^https?:\/\/[^\s"'<>\\]+$/i.test(text) || visible(text) !== text)
    return undefined;
  try {
    const url = new URL(text);
    // A user name in front of the host serves to make a link look like another.
    return url.username || url.password ? undefined : url.href;
  } catch {
    return undefined;
  }
}

/** Service names may be empty; this is what is shown then. */
export function serviceLabel(name: string): string {
  return name.trim() === "" ? "(no service name)" : oneLine(name, 100);
}

export function spanLabel(name: string): string {
  return name.trim() === "" ? "(no span name)" : oneLine(name);
}
