// The trace list: follows the stream, asks for what there is when the stream
// opens, and merges both. Lives as long as the program, so that going back from
// a trace shows the list at once, as it was left.

import { batch, computed, signal } from "@preact/signals";
import { ApiError, getServices, getTraces } from "../api/client";
import { rowOf } from "../api/rows";
import {
  type Filter,
  faults,
  filterFromUrl,
  inRange,
  noFilter,
  streamParams,
  tracesParams,
} from "../lib/filter";
import { merge, noRows, type Rows, release, replace, type TraceRow } from "../lib/trace-rows";
import { clockOffset, follow, noteServerTime, refreshStatus } from "./server";

export const filter = signal<Filter>(noFilter);
export const limit = signal(100);
export const rows = signal<Rows>(noRows);
const answerTruncated = signal(false);
/** There are older traces than those shown. */
export const truncated = computed(() => answerTruncated.value || rows.value.cut);
export const loading = signal(true);
export const problem = signal<string | undefined>(undefined);
/** Paused by the person: nothing new comes in until resumed. */
export const paused = signal(false);
/** Reading: scrolled down, or the pointer is moving over the list. */
export const reading = signal(false);
export const services = signal<string[]>([]);

export const longest = computed(() => rows.value.shown.reduce((max, row) => Math.max(max, row.duration), 0));

// As many as a select can reasonably offer; names are whatever somebody sent.
const mostServices = 1_000;

// Rows from the stream are put in at most this often, however fast they come.
const frame = 150;

let arrived: TraceRow[] = [];
let timer: number | undefined;
// What came by the stream while an answer was under way; the answer may be older.
let sinceAsked: TraceRow[] | undefined;
let request: AbortController | undefined;
let unfollow: (() => void) | undefined;
let shownFor: string | undefined;

const holding = (): boolean => paused.value || reading.value;

function putIn(): void {
  timer = undefined;
  const batchRows = arrived;
  arrived = [];
  const current = filter.value;
  const now = Date.now() + clockOffset.value;
  const fitting = batchRows.filter((r) => inRange(current, r.startNano, BigInt(r.duration), now));
  rows.value = merge(rows.value, fitting, holding(), limit.value);
  noteServices(fitting);
}

function noteServices(list: readonly TraceRow[]): void {
  const known = new Set(services.value);
  const before = known.size;
  for (const row of list) for (const s of row.services) if (known.size < mostServices) known.add(s.name);
  if (known.size > before) services.value = [...known].sort();
}

/** Asks for the traces; shows the answer unless another question came after it. */
export async function refresh(): Promise<void> {
  request?.abort();
  const mine = new AbortController();
  request = mine;
  const since: TraceRow[] = [];
  sinceAsked = since;
  try {
    const params = tracesParams(filter.value, limit.value, Date.now() + clockOffset.value);
    const { body, serverMillis } = await getTraces(params, mine.signal);
    if (request !== mine) return;
    batch(() => {
      noteServerTime(serverMillis);
      const answer = body.traces.map(rowOf);
      rows.value = replace(rows.value, answer, since, holding(), limit.value);
      answerTruncated.value = body.truncated;
      problem.value = undefined;
      loading.value = false;
      noteServices(answer);
    });
  } catch (err) {
    if (request !== mine) return;
    loading.value = false;
    problem.value = err instanceof ApiError ? err.message : String(err);
  } finally {
    if (sinceAsked === since) sinceAsked = undefined;
  }
}

/** Shows the list for the URL's filter; returns what stops it. */
export function show(query: URLSearchParams): () => void {
  const next = filterFromUrl(query);
  const key = query.toString();
  batch(() => {
    filter.value = next;
    problem.value = undefined;
    if (key !== shownFor) {
      rows.value = noRows;
      limit.value = 100;
      loading.value = true;
      reading.value = false;
    }
  });
  shownFor = key;
  arrived = [];
  if (Object.keys(faults(next)).length > 0) {
    loading.value = false;
    return () => {};
  }
  unfollow?.();
  // A stream that cannot be opened, as behind some proxies, must not keep the list empty.
  const fallback = window.setTimeout(() => {
    void refresh();
    void refreshStatus();
  }, 1_500);
  unfollow = follow(streamParams(next), {
    open() {
      window.clearTimeout(fallback);
      void refresh();
    },
    trace(summary) {
      const row = rowOf(summary);
      arrived.push(row);
      sinceAsked?.push(row);
      timer ??= window.setTimeout(putIn, frame);
    },
    reset() {
      void refresh();
    },
  });
  void loadServices();
  return () => {
    window.clearTimeout(fallback);
    window.clearTimeout(timer);
    timer = undefined;
    request?.abort();
    request = undefined;
    unfollow?.();
    unfollow = undefined;
  };
}

async function loadServices(): Promise<void> {
  try {
    const { body } = await getServices();
    const names = new Set([...services.value, ...body.services.map((s) => s.name)]);
    services.value = [...names].slice(0, mostServices).sort();
  } catch {
    // The list works without suggestions for the filter.
  }
}

export function showHeld(): void {
  rows.value = release(rows.value, limit.value);
}

export function setPaused(value: boolean): void {
  paused.value = value;
  if (!value) showHeld();
}

export function showMore(): void {
  limit.value = Math.min(1_000, limit.value * 3);
  void refresh();
}
