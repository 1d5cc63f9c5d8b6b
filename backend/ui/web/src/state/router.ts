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

export function navigate(url: string, options: { replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  route.value = parse(window.location);
}

window.addEventListener("popstate", () => {
  route.value = parse(window.location);
});

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
