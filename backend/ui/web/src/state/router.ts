// The page's URL as a signal. Three pages: the trace list (`/`, `/search`), one
// trace (`/trace/{id}`) and everything else, which the server answers with 404.

import { signal } from "@preact/signals";

export type Route =
  | { page: "list"; query: URLSearchParams }
  | { page: "trace"; traceId: string; query: URLSearchParams }
  | { page: "unknown" };

function parse(location: Location): Route {
  const query = new URLSearchParams(location.search);
  if (location.pathname === "/" || location.pathname === "/search") return { page: "list", query };
  const match = /^\/trace\/([^/]+)\/?$/.exec(location.pathname);
  if (!match) return { page: "unknown" };
  try {
    return { page: "trace", traceId: decodeURIComponent(match[1] ?? ""), query };
  } catch {
    return { page: "unknown" };
  }
}

export const route = signal<Route>(parse(window.location));

// The browser would scroll before the page it goes back to is drawn. So each
// entry of the history keeps where it was left, and the page scrolls itself.
history.scrollRestoration = "manual";

export function navigate(url: string, options: { replace?: boolean } = {}): void {
  if (options.replace) {
    history.replaceState(history.state, "", url);
  } else {
    history.replaceState({ scroll: window.scrollY }, "");
    history.pushState(null, "", url);
  }
  route.value = parse(window.location);
}

window.addEventListener("popstate", () => {
  route.value = parse(window.location);
});

/** Where the current entry of the history was left, in pixels from the top. */
export function leftAt(): number {
  const scroll = (history.state as { scroll?: unknown } | null)?.scroll;
  return typeof scroll === "number" ? scroll : 0;
}

/** For a click on a link of ours: follows it inside the page, unless a new tab or a download is meant. */
export function followInside(event: MouseEvent): void {
  const anchor = event.currentTarget as HTMLAnchorElement;
  if (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  event.preventDefault();
  navigate(anchor.pathname + anchor.search);
}

export function traceUrl(traceId: string, spanId = ""): string {
  const path = `/trace/${encodeURIComponent(traceId)}`;
  return spanId ? `${path}?span=${encodeURIComponent(spanId)}` : path;
}

export function listUrl(query: URLSearchParams): string {
  return query.size ? `/search?${query}` : "/";
}
