// What is known of the server: the state of the connection, its last status,
// and its clock.

import { signal } from "@preact/signals";
import { getStatus } from "../api/client";
import { type Connection, openStream, type Stream, type StreamHandlers } from "../api/stream";
import type { StatusJson } from "../api/types";

export const connection = signal<Connection>({ phase: "connecting" });
export const status = signal<StatusJson | undefined>(undefined);

let firstVersion: string | undefined;
/** Another version of the program answers than the one that this page came from. */
export const outdated = signal(false);

/** Milliseconds to add to the browser's clock to get the server's, near enough for "still arriving". */
export const clockOffset = signal(0);

export function noteServerTime(serverMillis: number): void {
  if (serverMillis === 0) return;
  const offset = serverMillis - Date.now();
  // The header has whole seconds; a smaller difference says nothing.
  clockOffset.value = Math.abs(offset) > 2_000 ? offset : 0;
}

/** The time in unix milliseconds, ticking each second while something looks at it. */
export const clock = signal(Date.now());
window.setInterval(() => {
  if (!document.hidden) clock.value = Date.now();
}, 1_000);

/** Asks for the status, which the stream otherwise brings. */
export async function refreshStatus(): Promise<void> {
  try {
    noteStatus((await getStatus()).body);
  } catch {
    // The request for the traces says what is wrong.
  }
}

function noteStatus(value: StatusJson): void {
  status.value = value;
  firstVersion ??= value.version;
  outdated.value = value.version !== firstVersion;
}

let current: Stream | undefined;

/** Opens the page's stream; there is one at a time. */
export function follow(
  params: URLSearchParams,
  handlers: Pick<StreamHandlers, "open" | "trace" | "reset">,
): () => void {
  const stream = openStream(params, {
    ...handlers,
    status: noteStatus,
    connection(value) {
      connection.value = value;
    },
  });
  current = stream;
  return () => {
    stream.close();
    if (current === stream) current = undefined;
  };
}

export function retryNow(): void {
  current?.retry();
}
