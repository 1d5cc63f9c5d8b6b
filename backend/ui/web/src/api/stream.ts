// The server-sent-events stream, kept open: it connects again with growing
// waits, and rests while nobody looks at the page, because a browser allows a
// server only six connections over all its tabs.

import { backoff } from "../lib/backoff";
import { base, getStatus } from "./client";
import type { StatusJson, SummaryJson } from "./types";

export type Connection = { phase: "connecting" } | { phase: "live" } | { phase: "waiting"; until: number };

export interface StreamHandlers {
  /** The stream is open. Nothing is replayed, so this is the moment to ask for what there is. */
  open(): void;
  trace(summary: SummaryJson): void;
  status(status: StatusJson): void;
  /** Events were left out; ask again. */
  reset(): void;
  connection(state: Connection): void;
}

export interface Stream {
  /** Connects now instead of after the wait. */
  retry(): void;
  close(): void;
}

export function openStream(params: URLSearchParams, on: StreamHandlers): Stream {
  const url = `${base}/stream${params.size ? `?${params}` : ""}`;
  let source: EventSource | undefined;
  let timer: number | undefined;
  let failures = 0;
  let closed = false;

  const stop = (): void => {
    window.clearTimeout(timer);
    source?.close();
    source = undefined;
  };

  const connect = (): void => {
    stop();
    if (closed || document.hidden) return;
    on.connection({ phase: "connecting" });
    const opened = new EventSource(url);
    source = opened;
    opened.addEventListener("open", () => {
      failures = 0;
      on.connection({ phase: "live" });
      on.open();
    });
    opened.addEventListener("error", () => {
      if (source !== opened) return;
      stop();
      const wait = backoff(failures++, Math.random());
      on.connection({ phase: "waiting", until: Date.now() + wait });
      timer = window.setTimeout(connect, wait);
      // An EventSource does not tell why it failed; a request does.
      getStatus().catch(() => {});
    });
    const listen = <T>(type: string, handle: (data: T) => void): void => {
      opened.addEventListener(type, (event) => {
        if (source !== opened) return;
        let data: T;
        try {
          data = JSON.parse((event as MessageEvent<string>).data) as T;
        } catch {
          on.reset();
          return;
        }
        handle(data);
      });
    };
    listen<SummaryJson>("trace", on.trace);
    listen<StatusJson>("status", on.status);
    listen<unknown>("reset", () => on.reset());
  };

  const visibility = (): void => {
    if (document.hidden) stop();
    else if (!source) connect();
  };
  document.addEventListener("visibilitychange", visibility);
  connect();

  return {
    retry() {
      failures = 0;
      connect();
    },
    close() {
      closed = true;
      document.removeEventListener("visibilitychange", visibility);
      stop();
    },
  };
}
