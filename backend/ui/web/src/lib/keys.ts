// The keyboard of the trace page. The letters are those of Jaeger's UI where it
// has one for the same thing.

export type Command =
  | "down"
  | "up"
  | "page-down"
  | "page-up"
  | "first"
  | "last"
  | "open"
  | "close"
  | "details"
  | "collapse-all"
  | "expand-all"
  | "collapse-level"
  | "expand-level"
  | "zoom-in"
  | "zoom-out"
  | "zoom-span"
  | "zoom-reset"
  | "pan-left"
  | "pan-right"
  | "find"
  | "next-match"
  | "previous-match"
  | "next-error"
  | "previous-error"
  | "copy-link"
  | "escape"
  | "help";

interface Binding {
  keys: string[];
  command: Command;
  /** Moves the cursor or scrolls: only where the key has no meaning of its own. */
  movement?: boolean;
}

const bindings: Binding[] = [
  { keys: ["ArrowDown"], command: "down", movement: true },
  { keys: ["f", "j"], command: "down" },
  { keys: ["ArrowUp"], command: "up", movement: true },
  { keys: ["b", "k"], command: "up" },
  { keys: ["PageDown"], command: "page-down", movement: true },
  { keys: ["PageUp"], command: "page-up", movement: true },
  { keys: ["Home"], command: "first", movement: true },
  { keys: ["End"], command: "last", movement: true },
  { keys: ["ArrowRight"], command: "open", movement: true },
  { keys: ["ArrowLeft"], command: "close", movement: true },
  { keys: ["Enter", " "], command: "details", movement: true },
  { keys: ["]"], command: "collapse-all" },
  { keys: ["["], command: "expand-all" },
  { keys: ["p"], command: "collapse-level" },
  { keys: ["o"], command: "expand-level" },
  { keys: ["+", "="], command: "zoom-in" },
  { keys: ["-"], command: "zoom-out" },
  { keys: ["z"], command: "zoom-span" },
  { keys: ["0"], command: "zoom-reset" },
  { keys: ["a"], command: "pan-left" },
  { keys: ["d"], command: "pan-right" },
  { keys: ["/"], command: "find" },
  { keys: ["n"], command: "next-match" },
  { keys: ["N"], command: "previous-match" },
  { keys: ["e"], command: "next-error" },
  { keys: ["E"], command: "previous-error" },
  { keys: ["c"], command: "copy-link" },
  { keys: ["Escape"], command: "escape" },
  { keys: ["?"], command: "help" },
];

export interface Key {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** Where the focus is: `text` takes letters, `control` takes Enter and arrows, `free` takes nothing. */
export type Focus = "text" | "control" | "free";

export function commandOf(key: Key, focus: Focus): Command | undefined {
  if (key.ctrlKey || key.metaKey || key.altKey) return undefined;
  const binding = bindings.find((b) => b.keys.includes(key.key));
  if (!binding) return undefined;
  if (focus === "text") return binding.command === "escape" ? "escape" : undefined;
  if (focus === "control" && binding.movement) return undefined;
  return binding.command;
}

/** The help text: keys and what they do. */
export const help: { title: string; rows: [string, string][] }[] = [
  {
    title: "Rows",
    rows: [
      ["↑ ↓  or  b f", "previous, next span"],
      ["Enter", "open or close the span's details"],
      ["→", "expand; then to the first child"],
      ["←", "collapse; then to the parent"],
      ["Home End PgUp PgDn", "move faster"],
      ["e  E", "next, previous error"],
    ],
  },
  {
    title: "Tree",
    rows: [
      ["]", "collapse all"],
      ["[", "expand all"],
      ["p", "collapse one level"],
      ["o", "expand one level"],
    ],
  },
  {
    title: "Find",
    rows: [
      ["/", "find in this trace"],
      ["n  N", "next, previous match"],
      ["Esc", "clear, then close the details"],
    ],
  },
  {
    title: "Time",
    rows: [
      ["+  −", "zoom in, out"],
      ["z", "zoom to the span"],
      ["0", "whole trace"],
      ["a  d", "move left, right"],
      ["Ctrl wheel, drag on the overview", "zoom with the mouse"],
    ],
  },
  {
    title: "Other",
    rows: [
      ["c", "copy a link to the span"],
      ["?", "this help"],
    ],
  },
];
