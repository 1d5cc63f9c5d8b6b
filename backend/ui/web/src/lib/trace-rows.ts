// The rows of the trace list: summaries merged by trace id, newest first, at
// most `limit`. While a person reads (paused, scrolled down) new traces are held
// back and counted; rows that are on the page go on growing in their places.

export interface TraceRow {
  traceId: string;
  rootService: string;
  rootName: string;
  hasRoot: boolean;
  startNano: bigint;
  /** Nanoseconds. */
  duration: number;
  spans: number;
  errors: number;
  orphans: number;
  services: { name: string; spans: number; errors: number }[];
  lastReceivedNano: bigint;
}

export interface Rows {
  shown: readonly TraceRow[];
  held: ReadonlyMap<string, TraceRow>;
  /** Older rows were left out to keep to the limit. */
  cut: boolean;
}

export const noRows: Rows = { shown: [], held: new Map(), cut: false };

function newestFirst(a: TraceRow, b: TraceRow): number {
  if (a.startNano !== b.startNano) return a.startNano > b.startNano ? -1 : 1;
  return a.traceId < b.traceId ? -1 : a.traceId > b.traceId ? 1 : 0;
}

/** The later of two summaries of a trace; they may arrive in the wrong order. */
function later(a: TraceRow | undefined, b: TraceRow): TraceRow {
  return a && a.lastReceivedNano > b.lastReceivedNano ? a : b;
}

/** Puts summaries from the stream in. With `hold`, ids not shown yet wait. */
export function merge(rows: Rows, arrived: readonly TraceRow[], hold: boolean, limit: number): Rows {
  if (arrived.length === 0) return rows;
  const places = new Map(rows.shown.map((row, i) => [row.traceId, i]));
  const shown = rows.shown.slice();
  const held = new Map(rows.held);
  for (const row of arrived) {
    const at = places.get(row.traceId);
    if (at !== undefined) shown[at] = later(shown[at], row);
    else held.set(row.traceId, later(held.get(row.traceId), row));
  }
  return hold
    ? { shown, held: bound(held, limit), cut: rows.cut }
    : release({ shown, held, cut: rows.cut }, limit);
}

/** Shows what was held, in order. */
export function release(rows: Rows, limit: number): Rows {
  const shown = rows.shown.filter((row) => !rows.held.has(row.traceId)).concat([...rows.held.values()]);
  shown.sort(newestFirst);
  return { shown: shown.slice(0, limit), held: new Map(), cut: rows.cut || shown.length > limit };
}

// What is beyond the limit would be cut at once when it is shown.
function bound(held: Map<string, TraceRow>, limit: number): Map<string, TraceRow> {
  if (held.size <= 2 * limit) return held;
  const newest = [...held.values()].sort(newestFirst).slice(0, limit);
  return new Map(newest.map((row) => [row.traceId, row]));
}

/**
 * Takes an answer of /traces, which is the truth: what it lacks is gone from the
 * store or does not fit the filter. `since` came by the stream after the answer
 * was asked for. With `hold`, the rows that are left stay where they are.
 */
export function replace(
  rows: Rows,
  answer: readonly TraceRow[],
  since: readonly TraceRow[],
  hold: boolean,
  limit: number,
): Rows {
  const fresh = new Map(answer.map((row) => [row.traceId, row]));
  for (const row of since) fresh.set(row.traceId, later(fresh.get(row.traceId), row));
  if (!hold || rows.shown.length === 0) return release({ ...noRows, held: fresh }, limit);
  const shown = rows.shown.flatMap((row) => fresh.get(row.traceId) ?? []);
  for (const row of shown) fresh.delete(row.traceId);
  // What is older than all of them comes in below, where it moves nothing.
  const oldest = rows.shown.at(-1);
  const below = [...fresh.values()].filter((row) => oldest && newestFirst(oldest, row) < 0).sort(newestFirst);
  for (const row of below) fresh.delete(row.traceId);
  return { shown: shown.concat(below).slice(0, limit), held: fresh, cut: false };
}
