// One row of the trace list.

import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { formatAgo, formatCount, formatDuration, formatInstant, formatTime, plural } from "../lib/format";
import { spanLabel } from "../lib/text";
import type { TraceRow } from "../lib/trace-rows";
import { traceUrl } from "../state/router";
import { clock, clockOffset } from "../state/server";
import { Link, Service } from "./common";
import { Icon } from "./icons";

const chips = 4;

export function TraceRowView({ row, longest }: { row: TraceRow; longest: number }): JSX.Element {
  const received = Number(row.lastReceivedNano / 1_000_000n);
  const arriving = useComputed(() => clock.value + clockOffset.value - received < 3_000).value;
  const { day, time } = formatTime(row.startNano, new Date());
  const share = longest > 0 ? row.duration / longest : 0;
  return (
    <tr role="row" class={row.errors > 0 ? "has-errors" : ""}>
      <td role="cell" class="c-time">
        <time
          dateTime={formatInstant(row.startNano)}
          title={`${formatInstant(row.startNano)}, ${formatAgo(row.startNano, Date.now() + clockOffset.value)}`}
        >
          {day ? <span class="day">{day}</span> : null} {time}
        </time>
      </td>
      <td role="cell" class="c-root">
        <div class="root-cell">
          <Service name={row.rootService} />
          <Link class="trace-link" href={traceUrl(row.traceId)} title={row.traceId}>
            <bdi>{spanLabel(row.rootName)}</bdi>
          </Link>
          {row.hasRoot ? null : (
            <span
              class="note warning"
              title="Every span that has arrived names a parent; shown is the earliest."
            >
              root span has not arrived
            </span>
          )}
          {row.hasRoot && row.orphans > 0 ? (
            <span class="note warning">{`${plural(row.orphans, "span")} without ${row.orphans === 1 ? "its" : "their"} parent`}</span>
          ) : null}
          {arriving ? <span class="note arriving">still arriving</span> : null}
        </div>
      </td>
      <td role="cell" class="c-duration">
        <span class="duration-text">{formatDuration(row.duration)}</span>
        <span class="meter" aria-hidden="true">
          <span style={{ width: `${Math.max(share * 100, 0.5)}%` }} />
        </span>
      </td>
      <td role="cell" class="c-spans">
        {formatCount(row.spans)}
        <span class="only-narrow">{row.spans === 1 ? " span" : " spans"}</span>
      </td>
      <td role="cell" class="c-services">
        <span class="chips">
          {row.services.slice(0, chips).map((s) => (
            <span key={s.name} class="chip">
              <Service name={s.name}>
                <span class="count">{formatCount(s.spans)}</span>
              </Service>
            </span>
          ))}
          {row.services.length > chips ? (
            <span class="chip muted">{`+${row.services.length - chips}`}</span>
          ) : null}
        </span>
      </td>
      <td role="cell" class="c-errors">
        {row.errors > 0 ? (
          <span class="error-text">
            <Icon name="error" />
            {plural(row.errors, "error")}
          </span>
        ) : (
          <span class="muted none">
            <span aria-hidden="true">–</span>
            <span class="offscreen">none</span>
          </span>
        )}
      </td>
    </tr>
  );
}
