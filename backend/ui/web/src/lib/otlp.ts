// Reads OTLP JSON (`resourceSpans` of opentelemetry.proto.trace.v1.TracesData)
// into the model the views use. Nothing in the input is trusted: a field of the
// wrong type counts as absent, and no input makes it throw.
//
// Times arrive as nanoseconds since 1970 in decimal strings, beyond 2^53. They
// are subtracted as BigInt from the trace's start and are plain numbers, in
// nanoseconds, from there on.

export type SpanKind = "unspecified" | "internal" | "server" | "client" | "producer" | "consumer";
export type SpanStatus = "unset" | "ok" | "error";

export type Value =
  | { type: "string"; text: string }
  | { type: "bool" | "int" | "double" | "empty"; text: string }
  | { type: "bytes"; text: string }
  | { type: "array"; values: Value[] }
  | { type: "map"; entries: Attribute[] };

export interface Attribute {
  key: string;
  value: Value;
}

export interface Resource {
  serviceName: string;
  attributes: Attribute[];
  droppedAttributes: number;
  schemaUrl: string;
}

export interface Scope {
  name: string;
  version: string;
  attributes: Attribute[];
}

export interface SpanEvent {
  name: string;
  /** Nanoseconds since the start of the span; negative when before it. */
  offset: number;
  attributes: Attribute[];
  droppedAttributes: number;
}

export interface SpanLink {
  traceId: string;
  spanId: string;
  traceState: string;
  attributes: Attribute[];
  droppedAttributes: number;
}

/** What is wrong with a span's own times; such spans are drawn with the duration 0. */
export type TimeFault = "no-start" | "no-end" | "ends-before-start";

export interface Span {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  name: string;
  kind: SpanKind;
  status: SpanStatus;
  statusMessage: string;
  /** Nanoseconds since the start of the trace. */
  start: number;
  /** Nanoseconds, never negative. */
  duration: number;
  timeFault: TimeFault | undefined;
  resource: Resource;
  scope: Scope;
  /** Kept as they came and read by attributesOf when a person looks at the span. */
  rawAttributes: unknown;
  droppedAttributes: number;
  events: SpanEvent[];
  droppedEvents: number;
  links: SpanLink[];
  droppedLinks: number;
}

export interface Trace {
  traceId: string;
  /** Unix nanoseconds of the earliest span that has a start time. */
  startNano: bigint;
  /** Nanoseconds from the earliest start to the latest end. */
  duration: number;
  /** One per span id, in the order of arrival. */
  spans: Span[];
  /** Spans left out because one with their id was there already. */
  duplicates: number;
}

type Json = Record<string, unknown>;

const object = (v: unknown): Json =>
  typeof v === "object" && v !== null && !Array.isArray(v) ? (v as Json) : {};
const list = (v: unknown): unknown[] => (Array.isArray(v) ? v : []);
const string = (v: unknown): string => (typeof v === "string" ? v : "");
const count = (v: unknown): number => {
  const n = Number(v);
  return Number.isSafeInteger(n) && n > 0 ? n : 0;
};

/** Parses a decimal string or number of nanoseconds; what is neither is 0. */
export function nanos(v: unknown): bigint {
  if (typeof v === "string" && /^\d{1,20}$/.test(v)) return BigInt(v);
  if (typeof v === "number" && Number.isSafeInteger(v) && v > 0) return BigInt(v);
  return 0n;
}

const hexId = (v: unknown): string => {
  const id = string(v).toLowerCase();
  return /^0*$/.test(id) ? "" : id;
};

const kinds: SpanKind[] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const kindOf = (v: unknown): SpanKind => {
  if (typeof v === "number") return kinds[v] ?? "unspecified";
  const name = string(v)
    .replace(/^SPAN_KIND_/, "")
    .toLowerCase();
  return kinds.find((k) => k === name) ?? "unspecified";
};

const statusOf = (v: unknown): SpanStatus => {
  if (v === 1 || v === "STATUS_CODE_OK") return "ok";
  return v === 2 || v === "STATUS_CODE_ERROR" ? "error" : "unset";
};

// Deeper values than this are shown as "…": nobody reads them, and recursion ends.
const maxDepth = 16;

export function parseValue(v: unknown, depth = 0): Value {
  const value = object(v);
  if (typeof value["stringValue"] === "string") return { type: "string", text: value["stringValue"] };
  if (typeof value["boolValue"] === "boolean") return { type: "bool", text: String(value["boolValue"]) };
  for (const [field, type] of [
    ["intValue", "int"],
    ["doubleValue", "double"],
  ] as const) {
    const n = value[field];
    if (typeof n === "number" || typeof n === "string") return { type, text: String(n) };
  }
  if (typeof value["bytesValue"] === "string") return { type: "bytes", text: value["bytesValue"] };
  if (depth >= maxDepth) return { type: "empty", text: "…" };
  if (value["arrayValue"] !== undefined) {
    return {
      type: "array",
      values: list(object(value["arrayValue"])["values"]).map((x) => parseValue(x, depth + 1)),
    };
  }
  if (value["kvlistValue"] !== undefined) {
    return { type: "map", entries: attributesOf(object(value["kvlistValue"])["values"], depth + 1) };
  }
  return { type: "empty", text: "" };
}

/** The ids of the traces in `resourceSpans`, in the order of arrival. */
export function traceIds(resourceSpans: unknown): string[] {
  const ids = list(resourceSpans)
    .flatMap((rs) => list(object(rs)["scopeSpans"]))
    .flatMap((ss) => list(object(ss)["spans"]))
    .map((span) => hexId(object(span)["traceId"]));
  return [...new Set(ids)];
}

/** Reads a KeyValue list. */
export function attributesOf(v: unknown, depth = 0): Attribute[] {
  return list(v).map((kv) => ({
    key: string(object(kv)["key"]),
    value: parseValue(object(kv)["value"], depth),
  }));
}

/** The text of a value: JSON for arrays and maps. */
export function textOf(value: Value): string {
  return value.type === "array" || value.type === "map" ? JSON.stringify(plain(value)) : value.text;
}

function plain(value: Value): unknown {
  if (value.type === "array") return value.values.map(plain);
  if (value.type === "map") return Object.fromEntries(value.entries.map((e) => [e.key, plain(e.value)]));
  return value.type === "string" ? value.text : `${value.text}`;
}

/** Equal resources become one object, however many batches they came in. */
function resourceOf(v: unknown, schemaUrl: string, known: Map<string, Resource>): Resource {
  const identity = JSON.stringify([v, schemaUrl]);
  const before = known.get(identity);
  if (before) return before;
  const parsed = parseResource(object(v), schemaUrl);
  known.set(identity, parsed);
  return parsed;
}

function parseResource(resource: Json, schemaUrl: string): Resource {
  const attributes = attributesOf(resource["attributes"]);
  const name = attributes.find((a) => a.key === "service.name");
  return {
    serviceName: name ? textOf(name.value) : "",
    attributes,
    droppedAttributes: count(resource["droppedAttributesCount"]),
    schemaUrl,
  };
}

function eventOf(v: unknown, spanStart: bigint): SpanEvent {
  const event = object(v);
  return {
    name: string(event["name"]),
    offset: Number(nanos(event["timeUnixNano"]) - spanStart),
    attributes: attributesOf(event["attributes"]),
    droppedAttributes: count(event["droppedAttributesCount"]),
  };
}

function linkOf(v: unknown): SpanLink {
  const link = object(v);
  return {
    traceId: hexId(link["traceId"]),
    spanId: hexId(link["spanId"]),
    traceState: string(link["traceState"]),
    attributes: attributesOf(link["attributes"]),
    droppedAttributes: count(link["droppedAttributesCount"]),
  };
}

/**
 * Parses `resourceSpans`. Of spans with the same id the last one wins and keeps
 * the first one's place, as in the store. With `traceId`, spans of other traces
 * are left out.
 */
export function parseTrace(resourceSpans: unknown, traceId?: string): Trace {
  const spans = new Map<string, Span>();
  const times = new Map<Span, [bigint, bigint]>();
  const resources = new Map<string, Resource>();
  let duplicates = 0;

  for (const rs of list(resourceSpans).map(object)) {
    const resource = resourceOf(rs["resource"], string(rs["schemaUrl"]), resources);
    for (const ss of list(rs["scopeSpans"]).map(object)) {
      const scopeJson = object(ss["scope"]);
      const scope: Scope = {
        name: string(scopeJson["name"]),
        version: string(scopeJson["version"]),
        attributes: attributesOf(scopeJson["attributes"]),
      };
      for (const json of list(ss["spans"]).map(object)) {
        if (traceId !== undefined && hexId(json["traceId"]) !== traceId) continue;
        const start = nanos(json["startTimeUnixNano"]);
        const end = nanos(json["endTimeUnixNano"]);
        const span = spanOf(json, resource, scope, start, end);
        const key = span.spanId || `nameless ${spans.size}`;
        const before = spans.get(key);
        if (before) {
          duplicates++;
          times.delete(before);
        }
        spans.set(key, span);
        times.set(span, [start, end]);
      }
    }
  }

  let earliest: bigint | undefined;
  let latest = 0n;
  for (const [start, end] of times.values()) {
    if (start === 0n) continue;
    if (earliest === undefined || start < earliest) earliest = start;
    if (start > latest) latest = start;
    if (end > latest) latest = end;
  }
  const startNano = earliest ?? 0n;
  for (const [span, [start]] of times) {
    span.start = start === 0n ? 0 : Number(start - startNano);
  }
  const all = [...spans.values()];
  return {
    traceId: all[0]?.traceId ?? "",
    startNano,
    duration: earliest === undefined ? 0 : Number(latest - startNano),
    spans: all,
    duplicates,
  };
}

function spanOf(json: Json, resource: Resource, scope: Scope, start: bigint, end: bigint): Span {
  const status = object(json["status"]);
  let timeFault: TimeFault | undefined;
  if (start === 0n) timeFault = "no-start";
  else if (end === 0n) timeFault = "no-end";
  else if (end < start) timeFault = "ends-before-start";
  return {
    traceId: hexId(json["traceId"]),
    spanId: hexId(json["spanId"]),
    parentSpanId: hexId(json["parentSpanId"]),
    traceState: string(json["traceState"]),
    name: string(json["name"]),
    kind: kindOf(json["kind"]),
    status: statusOf(status["code"]),
    statusMessage: string(status["message"]),
    start: 0,
    duration: timeFault ? 0 : Number(end - start),
    timeFault,
    resource,
    scope,
    rawAttributes: json["attributes"],
    droppedAttributes: count(json["droppedAttributesCount"]),
    events: list(json["events"]).map((e) => eventOf(e, start)),
    droppedEvents: count(json["droppedEventsCount"]),
    links: list(json["links"]).map(linkOf),
    droppedLinks: count(json["droppedLinksCount"]),
  };
}
