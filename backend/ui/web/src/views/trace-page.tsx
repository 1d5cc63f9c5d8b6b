// The page of one trace: its facts, what is odd about it, the waterfall and the
// details of the selected span.

import type { JSX, RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { filterToUrl } from "../lib/filter";
import { formatAgo, formatCount, formatDuration, formatInstant, formatTime, plural } from "../lib/format";
import { serviceLabel, spanLabel } from "../lib/text";
import { listUrl, navigate, traceUrl } from "../state/router";
import { clock, clockOffset } from "../state/server";
import { filter } from "../state/trace-list";
import { canonical, type Loaded, TracePage } from "../state/trace-page";
import { Copy, Link, Notice, Service } from "./common";
import { Icon } from "./icons";
import { SpanDetails } from "./span-details";
import { useTraceKeys } from "./trace-keys";
import { TraceToolbar } from "./trace-toolbar";
import { Waterfall, type WaterfallHandle } from "./waterfall";

export function TraceView({ traceId, query }: { traceId: string; query: URLSearchParams }): JSX.Element {
  const page = useMemo(() => new TracePage(traceId), [traceId]);
  useEffect(() => () => page.close(), [page]);
  const waterfall = useRef<WaterfallHandle>(null);
  useTraceKeys(page, waterfall);
  useUrlSpan(page, query.get("span") ?? "", waterfall);

  const loaded = page.loaded.value;
  const phase = page.phase.value;
  useEffect(() => {
    const title = loaded
      ? `${spanLabel(loaded.summary.rootName)} · ${formatDuration(loaded.trace.duration)}`
      : "Trace";
    document.title = `${title} · Throughline`;
  }, [loaded]);

  if (!loaded) {
    return (
      <main id="main" class="plain">
        <Back />
        {phase === "missing" ? (
          <>
            <h1>This trace is not here</h1>
            <p>
              <code>{canonical(traceId)}</code>
            </p>
            <p>
              It has not arrived yet, was not sampled, or had to make room for newer ones. If it arrives, it
              will show here by itself.
            </p>
          </>
        ) : phase === "failed" ? (
          <Notice kind="error">{page.problem.value}</Notice>
        ) : (
          <p class="muted">Loading…</p>
        )}
      </main>
    );
  }
  const selected = page.selected.value ? page.node(page.selected.value) : undefined;
  return (
    <main id="main" class="trace-page">
      <TraceHead page={page} loaded={loaded} />
      <Notices page={page} loaded={loaded} />
      <TraceToolbar page={page} waterfall={waterfall} />
      <div class={selected ? "trace-body with-details" : "trace-body"}>
        <Waterfall page={page} handle={waterfall} />
        {selected ? (
          <SpanDetails key={selected.span.spanId} page={page} node={selected} waterfall={waterfall} />
        ) : page.selected.value ? (
          <aside class="details" aria-label="Span details">
            <Notice kind="warning">
              The span <code>{page.selected.value}</code> of the link has not arrived.
            </Notice>
            <button
              type="button"
              class="button"
              onClick={() => {
                page.selected.value = "";
              }}
            >
              Close
            </button>
          </aside>
        ) : null}
      </div>
    </main>
  );
}

function Back(): JSX.Element {
  return (
    <Link class="back" href={listUrl(filterToUrl(filter.value))}>
      <Icon name="back" />
      Traces
    </Link>
  );
}

/** The selected span and the URL follow each other. */
function useUrlSpan(page: TracePage, fromUrl: string, waterfall: RefObject<WaterfallHandle | null>): void {
  const loaded = page.loaded.value !== undefined;
  // What was written to the URL here is no news when it comes back from there.
  const written = useRef<string | undefined>(undefined);
  useEffect(() => {
    if (fromUrl !== written.current) page.selected.value = fromUrl;
    written.current = undefined;
  }, [page, fromUrl]);
  const shown = useRef("");
  useEffect(() => {
    // A link to a span brings it into view, once it is there.
    const node = fromUrl ? page.node(fromUrl) : undefined;
    if (!loaded || !node || shown.current === fromUrl) return;
    shown.current = fromUrl;
    waterfall.current?.goTo(node);
  }, [page, fromUrl, loaded, waterfall]);

  const selected = page.selected.value;
  useEffect(() => {
    if (selected === fromUrl) return undefined;
    shown.current = selected;
    // Moving through the rows changes the selection often; browsers limit such calls.
    const timer = window.setTimeout(() => {
      written.current = selected;
      navigate(traceUrl(page.traceId, selected), { replace: true });
    }, 250);
    return () => window.clearTimeout(timer);
  }, [page, selected, fromUrl]);
}

function TraceHead({ page, loaded }: { page: TracePage; loaded: Loaded }): JSX.Element {
  const { summary, trace, tree } = loaded;
  const started = formatTime(trace.startNano, new Date());
  const errors = loaded.services.reduce((n, s) => n + s.errors, 0);
  return (
    <div class="trace-head">
      <Back />
      <h1>
        <Service name={summary.rootService} />
        <bdi class="root-name">{spanLabel(summary.rootName)}</bdi>
        {page.arriving.value ? (
          <span class="note arriving" role="status">
            still arriving
          </span>
        ) : null}
      </h1>
      <dl class="facts">
        <div>
          <dt>Start</dt>
          <dd>
            <time
              dateTime={formatInstant(trace.startNano)}
              title={`${formatInstant(trace.startNano)}, ${formatAgo(trace.startNano, clock.value + clockOffset.value)}`}
            >
              {started.day} {started.time}
            </time>
          </dd>
        </div>
        <div>
          <dt>Duration</dt>
          <dd>{formatDuration(trace.duration)}</dd>
        </div>
        <div>
          <dt>Spans</dt>
          <dd>{formatCount(trace.spans.length)}</dd>
        </div>
        <div>
          <dt>Depth</dt>
          <dd>{formatCount(tree.depth + 1)}</dd>
        </div>
        <div>
          <dt>Errors</dt>
          <dd class={errors > 0 ? "error-text" : ""}>
            {errors > 0 ? <Icon name="error" /> : null}
            {errors === 0 ? "none" : formatCount(errors)}
          </dd>
        </div>
        <div class="trace-id">
          <dt>Trace ID</dt>
          <dd>
            <code>{summary.traceId}</code>
            <Copy text={summary.traceId} what="the trace id" />
          </dd>
        </div>
      </dl>
    </div>
  );
}

/** What a person should know before trusting the picture. */
function Notices({ page, loaded }: { page: TracePage; loaded: Loaded }): JSX.Element | null {
  const { tree, summary, skews } = loaded;
  const notices: JSX.Element[] = [];
  if (page.phase.value === "missing") {
    notices.push(
      <Notice key="gone" kind="warning">
        The server does not hold this trace any more: it was restarted, or the trace made room for newer ones.
        This is what was seen last; a download is no longer possible.
      </Notice>,
    );
  } else if (page.phase.value === "failed") {
    notices.push(
      <Notice key="failed" kind="warning">
        {page.problem.value} This is what was seen last.
      </Notice>,
    );
  }
  if (!summary.hasRoot) {
    notices.push(
      <Notice key="root" kind="warning">
        The root span has not arrived
        {page.arriving.value
          ? " yet."
          : ": not ended, not sampled, or lost on the way. Every span here names a parent."}
      </Notice>,
    );
  }
  if (tree.orphans > 0 && (summary.hasRoot || tree.orphans > 1)) {
    const one = tree.orphans === 1;
    notices.push(
      <Notice key="orphans" kind="warning">
        {plural(tree.orphans, "span")} {one ? "names a parent that has" : "name parents that have"} not
        arrived; {one ? "it is" : "they are"} shown on the top level, marked “parent missing”.
      </Notice>,
    );
  }
  if (tree.cycles > 0) {
    notices.push(
      <Notice key="cycles" kind="warning">
        {tree.cycles === 1 ? "Some spans are" : `${tree.cycles} groups of spans are`} each other’s parents.
        Each circle is cut at its earliest span, marked “parent cycle”; the instrumentation that made them is
        wrong.
      </Notice>,
    );
  }
  for (const skew of skews) {
    notices.push(
      <Notice key={`skew ${skew.service} ${skew.parentService}`} kind="warning">
        {plural(skew.spans, "span")} of <bdi>{serviceLabel(skew.service)}</bdi>{" "}
        {skew.spans === 1 ? "starts" : "start"} before {skew.spans === 1 ? "its parent" : "their parents"} in{" "}
        <bdi>{serviceLabel(skew.parentService)}</bdi>: the clocks of the two differ by at least{" "}
        {formatDuration(skew.atLeast)}. Times are shown as they were recorded.
      </Notice>,
    );
  }
  return notices.length > 0 ? <div class="notices">{notices}</div> : null;
}
