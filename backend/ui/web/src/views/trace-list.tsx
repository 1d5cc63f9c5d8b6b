// The page of all traces.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { faults, isEmpty } from "../lib/filter";
import { formatBytes, formatCount, plural } from "../lib/format";
import type { TraceRow } from "../lib/trace-rows";
import { leftAt } from "../state/router";
import { clock, clockOffset, connection, status } from "../state/server";
import * as list from "../state/trace-list";
import { Link, Notice } from "./common";
import { EmptyState } from "./empty-state";
import { FilterBar } from "./filter-bar";
import { Icon } from "./icons";
import { TraceRowView } from "./trace-row";

export function TraceListPage({ query }: { query: URLSearchParams }): JSX.Element {
  const key = query.toString();
  // Key stands for query.
  useEffect(() => list.show(query), [key]);
  useEffect(() => {
    document.title = "Traces · Throughline";
    window.scrollTo(0, leftAt());
    const onScroll = (): void => {
      const down = window.scrollY > 40;
      if (down !== list.reading.value) {
        list.reading.value = down;
        if (!down && !list.paused.value) list.showHeld();
      }
    };
    document.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      document.removeEventListener("scroll", onScroll);
      list.reading.value = false;
    };
  }, []);

  const filtered = !isEmpty(list.filter.value);
  const none = list.rows.value.shown.length === 0;
  const empty = none && !filtered && !list.loading.value && list.problem.value === undefined;
  return (
    <main id="main" class="list-page">
      <h1 class="offscreen">Traces</h1>
      {empty ? null : <FilterBar />}
      <Problems />
      {empty ? (
        <EmptyState />
      ) : (
        <>
          <Toolbar />
          {none ? <NothingHere filtered={filtered} /> : <Table />}
          <Foot />
        </>
      )}
    </main>
  );
}

function Problems(): JSX.Element | null {
  const problem = list.problem.value;
  const rejected = status.value?.ingest.lastRejected;
  const accepted = status.value?.ingest.lastAcceptedUnixNano;
  // A rejection is news while nothing has been accepted since, or for a minute.
  const age = rejected
    ? clock.value + clockOffset.value - Number(BigInt(rejected.timeUnixNano) / 1_000_000n)
    : 0;
  const news =
    rejected !== undefined &&
    list.rows.value.shown.length > 0 &&
    (accepted === undefined || BigInt(accepted) < BigInt(rejected.timeUnixNano) || age < 60_000) &&
    age < 600_000;
  return (
    <>
      {problem === undefined ? null : (
        <Notice kind="error">
          {problem}
          {connection.value.phase === "live" ? (
            <>
              {" "}
              <button type="button" class="text-button" onClick={() => void list.refresh()}>
                Try again
              </button>
            </>
          ) : null}
        </Notice>
      )}
      {news ? (
        <Notice kind="warning">
          An export by {rejected.protocol} was rejected: <bdi class="value">{rejected.reason}</bdi>
        </Notice>
      ) : null}
    </>
  );
}

function Toolbar(): JSX.Element {
  const { shown, held } = list.rows.value;
  const paused = list.paused.value;
  return (
    <div class="list-toolbar">
      <span class="muted">
        {list.loading.value
          ? "Loading…"
          : `${list.truncated.value ? "Newest " : ""}${plural(shown.length, "trace")}`}
      </span>
      <button
        type="button"
        class="button"
        aria-pressed={paused}
        title={paused ? "Let new traces in again" : "Keep the list as it is"}
        onClick={() => list.setPaused(!paused)}
      >
        <Icon name={paused ? "play" : "pause"} />
        {paused ? "Resume" : "Pause"}
      </button>
      {held.size > 0 ? (
        <button
          type="button"
          class="button held"
          onClick={() => {
            list.showHeld();
            window.scrollTo(0, 0);
          }}
        >
          <Icon name="up" />
          {plural(held.size, "new trace")}
        </button>
      ) : paused ? (
        <span class="muted">Paused: new traces wait here.</span>
      ) : null}
    </div>
  );
}

function Table(): JSX.Element {
  const body = useRef<HTMLTableSectionElement>(null);
  const timer = useRef<number | undefined>(undefined);
  const longest = list.longest.value;
  // Rows depend on the longest.
  const cache = useMemo(() => new WeakMap<TraceRow, JSX.Element>(), [longest]);

  // Rows must not move away under a pointer on its way to one.
  const onPointerMove = (): void => {
    if (list.reading.value && timer.current === undefined) return;
    list.reading.value = true;
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => {
      timer.current = undefined;
      if (window.scrollY > 40) return;
      list.reading.value = false;
      if (!list.paused.value) list.showHeld();
    }, 400);
  };
  useEffect(() => () => window.clearTimeout(timer.current), []);

  const onKeyDown = (event: KeyboardEvent): void => {
    const step =
      event.key === "ArrowDown" || event.key === "j"
        ? 1
        : event.key === "ArrowUp" || event.key === "k"
          ? -1
          : 0;
    if (step === 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const links = [...(body.current?.querySelectorAll<HTMLAnchorElement>("a.trace-link") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    links[at + step]?.focus();
    event.preventDefault();
  };

  return (
    <table class="traces" role="table" onKeyDown={onKeyDown} onPointerMove={onPointerMove}>
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col" class="c-time" aria-sort="descending">
            Start
          </th>
          <th role="columnheader" scope="col" class="c-root">
            Trace
          </th>
          <th role="columnheader" scope="col" class="c-duration">
            Duration
          </th>
          <th role="columnheader" scope="col" class="c-spans">
            Spans
          </th>
          <th role="columnheader" scope="col" class="c-services">
            Services
          </th>
          <th role="columnheader" scope="col" class="c-errors">
            Errors
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup" ref={body}>
        {list.rows.value.shown.map((row) => {
          // The same element again is not rendered again.
          let element = cache.get(row);
          if (!element) {
            element = <TraceRowView key={row.traceId} row={row} longest={longest} />;
            cache.set(row, element);
          }
          return element;
        })}
      </tbody>
    </table>
  );
}

function NothingHere({ filtered }: { filtered: boolean }): JSX.Element | null {
  if (list.loading.value || list.problem.value !== undefined) return null;
  if (Object.keys(faults(list.filter.value)).length > 0) {
    return <p class="nothing">The filter cannot be asked as it is; the fields above say why.</p>;
  }
  const stored = status.value?.store.traces;
  if (!filtered) return null;
  return (
    <div class="nothing">
      <p>
        <strong>No trace fits this filter.</strong>
      </p>
      <p>
        All conditions must hold for one and the same span.
        {stored ? ` ${plural(stored, "trace")} ${stored === 1 ? "is" : "are"} stored.` : ""} A trace that fits
        will show here by itself.
      </p>
      <p>
        <Link class="button" href="/">
          Clear the filter
        </Link>
      </p>
    </div>
  );
}

function Foot(): JSX.Element {
  const more = list.truncated.value && list.limit.value < 1_000;
  const store = status.value?.store;
  return (
    <footer class="list-foot">
      {more ? (
        <button type="button" class="button" onClick={list.showMore}>
          Show more
        </button>
      ) : null}
      {store ? (
        <p class="muted">
          Stored: {plural(store.traces, "trace")}, {plural(store.spans, "span")}, {formatBytes(store.bytes)}
          {store.maxBytes > 0 ? ` of ${formatBytes(store.maxBytes)}` : ""}.
          {store.evictedTraces > 0
            ? ` ${formatCount(store.evictedTraces)} older ${store.evictedTraces === 1 ? "trace was" : "traces were"} removed to make room.`
            : ""}
        </p>
      ) : null}
    </footer>
  );
}
