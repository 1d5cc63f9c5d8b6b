// The filter of the trace list: as the form holds it, as the page's URL keeps
// it, and as the API wants it. A filter in a URL that makes no sense is kept as
// text and refused with a sentence, not dropped.

import type { SpanKind, SpanStatus } from "./otlp";

export interface Filter {
  /** undefined is any service; "" is the service without a name. */
  service: string | undefined;
  name: string;
  kind: SpanKind | "";
  status: SpanStatus | "";
  minDuration: string;
  maxDuration: string;
  /** `key=value`, all of which must hold. */
  attributes: string[];
  /** A look-back such as `15m`; "" is all that is stored. Start and end win over it. */
  last: string;
  /** RFC 3339 or unix nanoseconds. */
  start: string;
  end: string;
}

export const noFilter: Filter = {
  service: undefined,
  name: "",
  kind: "",
  status: "",
  minDuration: "",
  maxDuration: "",
  attributes: [],
  last: "",
  start: "",
  end: "",
};

export const kinds: SpanKind[] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
export const statuses: SpanStatus[] = ["unset", "ok", "error"];
export const lookbacks = ["5m", "15m", "1h", "6h", "24h", "7d"];

/** Reads a filter from the query of the page's URL. */
export function filterFromUrl(query: URLSearchParams): Filter {
  const text = (key: string): string => query.get(key) ?? "";
  return {
    service: query.has("service") ? text("service") : undefined,
    name: text("name"),
    kind: kinds.find((k) => k === text("kind")) ?? "",
    status: statuses.find((s) => s === text("status")) ?? "",
    minDuration: text("minDuration"),
    maxDuration: text("maxDuration"),
    attributes: query.getAll("attr").filter((a) => a !== ""),
    last: lookbacks.includes(text("last")) ? text("last") : "",
    start: text("start"),
    end: text("end"),
  };
}

/** The query of the page's URL; only what is set. */
export function filterToUrl(filter: Filter): URLSearchParams {
  const query = spanQuery(filter);
  if (filter.last && !filter.start && !filter.end) query.set("last", filter.last);
  if (filter.start) query.set("start", filter.start);
  if (filter.end) query.set("end", filter.end);
  return query;
}

function spanQuery(filter: Filter): URLSearchParams {
  const query = new URLSearchParams();
  if (filter.service !== undefined) query.set("service", filter.service);
  if (filter.name) query.set("name", filter.name);
  if (filter.kind) query.set("kind", filter.kind);
  if (filter.status) query.set("status", filter.status);
  if (filter.minDuration) query.set("minDuration", filter.minDuration);
  if (filter.maxDuration) query.set("maxDuration", filter.maxDuration);
  for (const a of filter.attributes) query.append("attr", a);
  return query;
}

/** The parameters of /stream: the filter without its time range. */
export function streamParams(filter: Filter): URLSearchParams {
  const query = spanQuery(filter);
  for (const key of ["minDuration", "maxDuration"]) {
    const value = query.get(key);
    if (value !== null) query.set(key, goDuration(value) ?? value);
  }
  return query;
}

/** The parameters of /traces. `nowMillis` anchors a look-back. */
export function tracesParams(filter: Filter, limit: number, nowMillis: number): URLSearchParams {
  const query = streamParams(filter);
  const { start, end } = timeRange(filter, nowMillis);
  if (start) query.set("start", start);
  if (end) query.set("end", end);
  query.set("limit", String(limit));
  return query;
}

function timeRange(filter: Filter, nowMillis: number): { start: string; end: string } {
  if (filter.start || filter.end) return { start: filter.start, end: filter.end };
  const back = lookbackMillis(filter.last);
  return { start: back ? `${BigInt(Math.round(nowMillis - back)) * 1_000_000n}` : "", end: "" };
}

function lookbackMillis(last: string): number {
  const match = /^(\d+)([mhd])$/.exec(last);
  const unit = { m: 60_000, h: 3_600_000, d: 86_400_000 }[match?.[2] ?? ""] ?? 0;
  return Number(match?.[1] ?? 0) * unit;
}

/** Whether a trace from the stream, which knows no times, is in the filter's range. */
export function inRange(filter: Filter, startNano: bigint, durationNano: bigint, nowMillis: number): boolean {
  const { start, end } = timeRange(filter, nowMillis);
  const [from, to] = [instant(start), instant(end)];
  return (from === undefined || startNano + durationNano >= from) && (to === undefined || startNano <= to);
}

/** Unix nanoseconds of RFC 3339 or of digits; undefined for anything else. */
export function instant(text: string): bigint | undefined {
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  const millis = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(millis) ? undefined : BigInt(millis) * 1_000_000n;
}

/** A duration as Go writes it, from what people type: `250 ms`, `1,5s`, `100µs`, `3` (milliseconds). */
export function goDuration(text: string): string | undefined {
  const compact = text.replace(/\s+/gu, "").replace(",", ".").replace(/[µμ]s/gu, "us").replace(/min/gu, "m");
  if (/^\d+(\.\d+)?$/.test(compact)) return `${compact}ms`;
  return /^(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/i.test(compact) ? compact.toLowerCase() : undefined;
}

const unitNanos: Record<string, number> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Nanoseconds of what goDuration takes; undefined when that is no duration or more than Go's can hold. */
export function durationNanos(text: string): number | undefined {
  const parts = goDuration(text)?.matchAll(/(\d+(?:\.\d+)?)([a-z]+)/g);
  if (!parts) return undefined;
  let nanos = 0;
  for (const [, n = "", unit = ""] of parts) nanos += Number(n) * (unitNanos[unit] ?? Number.NaN);
  return nanos < 2 ** 63 ? nanos : undefined;
}

/** What is wrong with a filter, one sentence per field; empty when it can be asked. */
export function faults(filter: Filter): Partial<Record<keyof Filter, string>> {
  const found: Partial<Record<keyof Filter, string>> = {};
  for (const key of ["minDuration", "maxDuration"] as const) {
    if (filter[key] && durationNanos(filter[key]) === undefined) {
      found[key] = "Want a duration such as 250ms or 1.5s.";
    }
  }
  const [least, most] = [durationNanos(filter.minDuration), durationNanos(filter.maxDuration)];
  if (least !== undefined && most !== undefined && least > most) {
    found.maxDuration = "Shorter than the least duration.";
  }
  if (filter.attributes.some((a) => a.indexOf("=") < 1)) {
    found.attributes = "Want key=value, such as http.response.status_code=500.";
  }
  for (const key of ["start", "end"] as const) {
    if (filter[key] && instant(filter[key]) === undefined) found[key] = "Want a date and time.";
  }
  const [start, end] = [instant(filter.start), instant(filter.end)];
  if (start !== undefined && end !== undefined && start > end) found.end = "Ends before it starts.";
  return found;
}

export function isEmpty(filter: Filter): boolean {
  return filterToUrl(filter).size === 0;
}
