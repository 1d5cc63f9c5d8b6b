// The tools above the waterfall: find, the tree's levels, zoom, the services,
// and what to do with the whole trace.

import type { JSX, RefObject } from "preact";
import { useState } from "preact/hooks";
import { getTrace } from "../api/client";
import { formatCount, plural } from "../lib/format";
import type { Command } from "../lib/keys";
import { serviceLabel } from "../lib/text";
import { traceUrl } from "../state/router";
import type { TracePage } from "../state/trace-page";
import { Copy, Service } from "./common";
import { Icon, type IconName } from "./icons";
import { findInputId, run } from "./trace-keys";
import type { WaterfallHandle } from "./waterfall";

export function TraceToolbar({
  page,
  waterfall,
}: {
  page: TracePage;
  waterfall: RefObject<WaterfallHandle | null>;
}): JSX.Element {
  const tool = (command: Command, icon: IconName, label: string, key: string): JSX.Element => (
    <button
      type="button"
      class="icon-button"
      title={`${label} (${key})`}
      aria-label={label}
      onClick={() => run(command, page, waterfall.current)}
    >
      <Icon name={icon} />
    </button>
  );
  return (
    <div class="trace-toolbar">
      <div class="tools">
        <Find page={page} waterfall={waterfall} />
        <span class="tool-group" role="group" aria-label="Tree">
          {tool("expand-all", "expand-all", "Expand all", "[")}
          {tool("collapse-all", "collapse-all", "Collapse all", "]")}
          <button
            type="button"
            class="icon-button text"
            title="Collapse one level (p)"
            aria-label="−1: collapse one level"
            onClick={() => run("collapse-level", page, waterfall.current)}
          >
            −1
          </button>
          <button
            type="button"
            class="icon-button text"
            title="Expand one level (o)"
            aria-label="+1: expand one level"
            onClick={() => run("expand-level", page, waterfall.current)}
          >
            +1
          </button>
        </span>
        <span class="tool-group" role="group" aria-label="Zoom">
          {tool("zoom-out", "zoom-out", "Zoom out", "-")}
          {tool("zoom-in", "zoom-in", "Zoom in", "+")}
          <button
            type="button"
            class="icon-button text"
            title="Show the whole trace (0)"
            disabled={page.range.value === undefined}
            onClick={() => run("zoom-reset", page, waterfall.current)}
          >
            Whole
          </button>
        </span>
        <span class="grow" />
        <Copy
          text={
            new URL(
              traceUrl(page.loaded.value?.summary.traceId ?? page.traceId, page.selected.value),
              window.location.href,
            ).href
          }
          what="a link to this"
        >
          Link
        </Copy>
        <Download page={page} />
      </div>
      <Legend page={page} />
    </div>
  );
}

function Find({
  page,
  waterfall,
}: {
  page: TracePage;
  waterfall: RefObject<WaterfallHandle | null>;
}): JSX.Element {
  const query = page.query.value;
  const matches = page.matches.value;
  const cursor = page.cursorNode();
  const at = cursor ? matches.indexOf(cursor) : -1;
  const asked = query.trim() !== "";
  return (
    <div class="find" role="search" aria-label="Find in this trace">
      <label class="find-box">
        <Icon name="search" />
        <span class="offscreen">Find in this trace</span>
        <input
          id={findInputId}
          type="text"
          placeholder="Find in trace  ( / )"
          value={query}
          autocomplete="off"
          spellcheck={false}
          maxLength={1024}
          onInput={(e) => {
            page.query.value = e.currentTarget.value;
          }}
          onKeyDown={(e) => {
            if (e.key !== "Enter") return;
            e.preventDefault();
            run(e.shiftKey ? "previous-match" : "next-match", page, waterfall.current);
          }}
        />
        {asked ? (
          <span class="find-count" role="status">
            {query !== page.asked.value
              ? "…"
              : matches.length === 0
                ? "no match"
                : at >= 0
                  ? `${formatCount(at + 1)} of ${formatCount(matches.length)}`
                  : plural(matches.length, "match", "matches")}
          </span>
        ) : null}
      </label>
      {asked ? (
        <>
          <button
            type="button"
            class="icon-button"
            title="Previous match (N)"
            aria-label="Previous match"
            disabled={matches.length === 0}
            onClick={() => run("previous-match", page, waterfall.current)}
          >
            <Icon name="up" />
          </button>
          <button
            type="button"
            class="icon-button"
            title="Next match (n)"
            aria-label="Next match"
            disabled={matches.length === 0}
            onClick={() => run("next-match", page, waterfall.current)}
          >
            <Icon name="up" class="down" />
          </button>
          <label class="check">
            <input
              type="checkbox"
              checked={page.onlyMatches.value}
              onChange={(e) => {
                page.onlyMatches.value = e.currentTarget.checked;
              }}
            />
            only matches
          </label>
        </>
      ) : null}
    </div>
  );
}

/** The services with their counts; a click finds a service's spans. */
function Legend({ page }: { page: TracePage }): JSX.Element {
  const services = page.loaded.value?.services ?? [];
  return (
    <ul class="legend" aria-label="Services of this trace">
      {services.map((s) => {
        const query = `service:"${s.name}"`;
        const on = page.query.value === query;
        return (
          <li key={s.name}>
            <button
              type="button"
              class="chip"
              aria-pressed={on}
              disabled={s.name === ""}
              title={s.name === "" ? undefined : `Find the spans of ${serviceLabel(s.name)}`}
              onClick={() => {
                page.query.value = on ? "" : query;
              }}
            >
              <Service name={s.name}>
                <span class="count">{plural(s.spans, "span")}</span>
                {s.errors > 0 ? (
                  <span class="error-text">
                    <Icon name="error" />
                    {plural(s.errors, "error")}
                  </span>
                ) : null}
              </Service>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Download({ page }: { page: TracePage }): JSX.Element {
  const [state, setState] = useState<"" | "busy" | "failed">("");
  const download = async (): Promise<void> => {
    setState("busy");
    try {
      const { body } = await getTrace(page.traceId);
      const file = new Blob(
        [JSON.stringify({ resourceSpans: body.resourceSpans }, null, body.trace.spanCount > 10_000 ? 0 : 1)],
        {
          type: "application/json",
        },
      );
      const url = URL.createObjectURL(file);
      const anchor = document.createElement("a");
      anchor.href = url;
      anchor.download = `trace-${body.trace.traceId}.json`;
      anchor.click();
      window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
      setState("");
    } catch {
      setState("failed");
    }
  };
  return (
    <button
      type="button"
      class="button"
      disabled={state === "busy"}
      title="Download as OTLP JSON"
      onClick={download}
    >
      <Icon name={state === "failed" ? "warning" : "download"} />
      {state === "failed" ? "Not available" : "OTLP JSON"}
    </button>
  );
}
