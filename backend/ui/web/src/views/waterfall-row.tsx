// One row of the waterfall: name on the left, bar on the right.

import type { CSSProperties, JSX } from "preact";
import { formatCount, formatDuration, plural } from "../lib/format";
import { barOf, type Range } from "../lib/layout";
import { serviceLabel, spanLabel } from "../lib/text";
import type { Node } from "../lib/tree";
import { serviceSlot } from "../state/colours";
import { Swatch, serviceStyle } from "./common";
import { Icon } from "./icons";

const mostEvents = 50;

export interface RowProps {
  id: string;
  node: Node;
  position: number;
  range: Range;
  collapsed: boolean;
  selected: boolean;
  cursor: boolean;
  dimmed: boolean;
  found: boolean;
  onToggle: () => void;
  onSelect: () => void;
}

export function Row(props: RowProps): JSX.Element {
  const { node, range, collapsed } = props;
  const { span } = node;
  const hidden = collapsed ? node.descendants : 0;
  const service = span.resource.serviceName;
  const newService = !node.parent || node.parent.span.resource.serviceName !== service;
  const error = span.status === "error";
  const classes = [
    "row",
    props.selected ? "selected" : "",
    props.cursor ? "cursor" : "",
    props.dimmed ? "dimmed" : "",
    props.found ? "found" : "",
    error ? "error" : "",
  ];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the treegrid has the keyboard
    // biome-ignore lint/a11y/useFocusableInteractive: focus stays on the treegrid, which names its active row
    <div
      id={props.id}
      class={classes.filter(Boolean).join(" ")}
      role="row"
      aria-rowindex={props.position + 1}
      aria-level={node.depth + 1}
      aria-expanded={node.children.length > 0 ? !collapsed : undefined}
      aria-selected={props.selected}
      onClick={props.onSelect}
    >
      {/* biome-ignore lint/a11y/useFocusableInteractive: as above */}
      <div class="label" role="gridcell" style={{ "--depth": String(node.depth) } as CSSProperties}>
        {node.children.length > 0 ? (
          <button
            type="button"
            class={collapsed ? "twist" : "twist open"}
            tabIndex={-1}
            aria-label={collapsed ? `Expand ${plural(node.descendants, "span")}` : "Collapse"}
            onClick={(event) => {
              event.stopPropagation();
              props.onToggle();
            }}
          >
            <Icon name="chevron" />
          </button>
        ) : (
          <span class="twist leaf" />
        )}
        <Swatch service={service} />
        {error ? (
          <span class="error-text mark" title={span.statusMessage ? spanLabel(span.statusMessage) : "error"}>
            <Icon name="error" />
            <span class="mark-text">error</span>
          </span>
        ) : null}
        {newService ? (
          <bdi class="row-service">{serviceLabel(service)}</bdi>
        ) : (
          <span class="offscreen">{serviceLabel(service)}</span>
        )}
        <bdi class="row-name">{spanLabel(span.name)}</bdi>
        {node.promotion ? (
          <span class="note warning" title={span.parentSpanId}>
            {node.promotion === "orphan" ? "parent missing" : "parent cycle"}
          </span>
        ) : null}
        {span.links.length > 0 ? (
          <span class="mark muted" title={plural(span.links.length, "link")}>
            <Icon name="link" />
            <span class="offscreen">{plural(span.links.length, "link")}</span>
          </span>
        ) : null}
        {hidden > 0 ? (
          <span class="count" title={`${plural(hidden, "span")} collapsed`}>{`+${formatCount(hidden)}`}</span>
        ) : null}
        {hidden > 0 && node.errorsBelow > 0 ? (
          <span class="error-text mark" title={`${plural(node.errorsBelow, "error")} below`}>
            <Icon name="error-below" />
            <span class="mark-text">{formatCount(node.errorsBelow)}</span>
          </span>
        ) : null}
      </div>
      {/* biome-ignore lint/a11y/useFocusableInteractive: as above */}
      <div class="lane" role="gridcell">
        <Lane node={node} range={range} />
      </div>
    </div>
  );
}

function Lane({ node, range }: { node: Node; range: Range }): JSX.Element {
  const { span } = node;
  const bar = barOf(span.start, span.duration, range);
  const text = span.timeFault ? faultWords[span.timeFault] : formatDuration(span.duration);
  if (!bar) {
    const before = span.start < range.from;
    return (
      <span class={before ? "elsewhere before" : "elsewhere after"}>
        {before ? `← ${text}` : `${text} →`}
      </span>
    );
  }
  const { left, width } = bar;
  const length = range.to - range.from;
  return (
    <>
      <span
        class={`bar ${bar.cutLeft ? "cut-left" : ""} ${bar.cutRight ? "cut-right" : ""} ${span.timeFault ? "fault" : ""}`}
        data-pattern={serviceSlot(span.resource.serviceName).pattern}
        style={{
          ...serviceStyle(span.resource.serviceName),
          left: `${left * 100}%`,
          width: `${width * 100}%`,
        }}
      />
      {span.events.slice(0, mostEvents).map((event, i) => {
        const at = (span.start + event.offset - range.from) / length;
        return at >= 0 && at <= 1 ? (
          <span
            // Events have nothing else.
            key={i}
            class={event.name === "exception" ? "tick-event exception" : "tick-event"}
            style={{ left: `${at * 100}%` }}
            title={spanLabel(event.name)}
          />
        ) : null;
      })}
      <span class="bar-text" style={{ left: `${(left + width) * 100}%` }}>
        {text}
      </span>
    </>
  );
}

export const faultWords = {
  "no-start": "no start time",
  "no-end": "no end time",
  "ends-before-start": "ends before it starts",
} as const;
