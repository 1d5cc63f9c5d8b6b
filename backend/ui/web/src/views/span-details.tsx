// Everything about one span.

import type { JSX, RefObject } from "preact";
import { useMemo } from "preact/hooks";
import { formatDuration, formatInstant, formatShare, plural } from "../lib/format";
import { attributesOf, type SpanEvent, type SpanLink } from "../lib/otlp";
import { oneLine, serviceLabel, spanLabel } from "../lib/text";
import type { Node } from "../lib/tree";
import { traceUrl } from "../state/router";
import type { TracePage } from "../state/trace-page";
import { AttributeTable } from "./attributes";
import { Copy, Link, LongText, Notice, Service } from "./common";
import { Icon } from "./icons";
import type { WaterfallHandle } from "./waterfall";
import { faultWords } from "./waterfall-row";

export function SpanDetails({
  page,
  node,
  waterfall,
}: {
  page: TracePage;
  node: Node;
  waterfall: RefObject<WaterfallHandle | null>;
}): JSX.Element {
  const { span } = node;
  const attributes = useMemo(() => attributesOf(span.rawAttributes), [span]);
  const total = page.loaded.value?.trace.duration ?? 0;
  const start = (page.loaded.value?.trace.startNano ?? 0n) + BigInt(Math.round(span.start));
  return (
    <aside class="details" aria-label="Span details">
      <div class="details-head">
        <h2>
          <bdi>{spanLabel(span.name)}</bdi>
        </h2>
        <button
          type="button"
          class="icon-button"
          title="Close (Esc)"
          aria-label="Close the details"
          onClick={() => {
            page.selected.value = "";
            waterfall.current?.focus();
          }}
        >
          <Icon name="close" />
        </button>
      </div>
      <p class="details-sub">
        <Service name={span.resource.serviceName} />
        <span class="chip">{span.kind}</span>
        {span.status === "error" ? (
          <span class="chip error-text">
            <Icon name="error" />
            error
          </span>
        ) : (
          <span class="chip">status {span.status}</span>
        )}
      </p>
      {span.status === "error" && span.statusMessage ? (
        <Notice kind="error">
          <LongText text={span.statusMessage} />
        </Notice>
      ) : null}
      <Oddities node={node} />
      <dl class="facts">
        <div>
          <dt>Starts at</dt>
          <dd title={formatInstant(start)}>
            {span.timeFault === "no-start" ? "?" : `+${formatDuration(span.start)}`}
          </dd>
        </div>
        <div>
          <dt>Duration</dt>
          <dd>
            {formatDuration(span.duration)} <span class="muted">{formatShare(span.duration, total)}</span>
          </dd>
        </div>
        <div>
          <dt title="The time in which no child was running">Self time</dt>
          <dd>
            {formatDuration(node.selfTime)}{" "}
            <span class="muted">{formatShare(node.selfTime, span.duration)}</span>
          </dd>
        </div>
        <div>
          <dt>Children</dt>
          <dd>
            {node.children.length === node.descendants
              ? node.children.length
              : `${node.children.length}, ${node.descendants} below`}
          </dd>
        </div>
      </dl>
      <Section title="Attributes" count={attributes.length}>
        <AttributeTable attributes={attributes} searchable dropped={span.droppedAttributes} />
      </Section>
      {span.events.length > 0 || span.droppedEvents > 0 ? (
        <Section title="Events" count={span.events.length}>
          <Events events={span.events} dropped={span.droppedEvents} />
        </Section>
      ) : null}
      {span.links.length > 0 || span.droppedLinks > 0 ? (
        <Section title="Links" count={span.links.length}>
          <Links links={span.links} dropped={span.droppedLinks} />
        </Section>
      ) : null}
      <Section title="Resource" count={span.resource.attributes.length}>
        <AttributeTable
          attributes={span.resource.attributes}
          searchable
          dropped={span.resource.droppedAttributes}
        />
      </Section>
      <Section title="Scope and ids">
        <Ids node={node} />
      </Section>
    </aside>
  );
}

function Section({
  title,
  count,
  children,
}: {
  title: string;
  count?: number;
  children: JSX.Element;
}): JSX.Element {
  return (
    <details open class="section">
      <summary>
        <h3>{title}</h3>
        {count === undefined ? null : <span class="count">{count}</span>}
      </summary>
      {children}
    </details>
  );
}

function Oddities({ node }: { node: Node }): JSX.Element | null {
  const { span, parent } = node;
  return (
    <>
      {node.promotion === "orphan" ? (
        <Notice kind="warning">
          Its parent <code>{span.parentSpanId}</code> has not arrived.
        </Notice>
      ) : null}
      {node.promotion === "cycle" ? (
        <Notice kind="warning">
          Its parent <code>{span.parentSpanId}</code>{" "}
          {span.parentSpanId === span.spanId ? "is itself" : "is also among its descendants"}.
        </Notice>
      ) : null}
      {span.timeFault ? (
        <Notice kind="warning">The span has wrong times: {faultWords[span.timeFault]}.</Notice>
      ) : null}
      {parent && node.startsEarlyBy > 0 ? (
        <Notice kind="warning">
          Starts {formatDuration(node.startsEarlyBy)} before its parent
          {parent.span.resource === span.resource
            ? "."
            : ` in ${serviceLabel(parent.span.resource.serviceName)}: the two clocks differ. Times are shown as they were recorded.`}
        </Notice>
      ) : null}
    </>
  );
}

const mostListed = 200;

function Events({ events, dropped }: { events: SpanEvent[]; dropped: number }): JSX.Element {
  return (
    <>
      <ol class="events">
        {events.slice(0, mostListed).map((event, i) => (
          // Events have nothing else.
          <li key={i}>
            <div class="event-head">
              <span class="event-time" title="since the start of the span">
                {event.offset < 0 ? "" : "+"}
                {formatDuration(event.offset)}
              </span>
              <bdi class={event.name === "exception" ? "error-text" : ""}>
                {event.name === "exception" ? <Icon name="error" /> : null}
                {spanLabel(event.name)}
              </bdi>
            </div>
            {event.attributes.length > 0 || event.droppedAttributes > 0 ? (
              <AttributeTable attributes={event.attributes} dropped={event.droppedAttributes} />
            ) : null}
          </li>
        ))}
      </ol>
      <Dropped what="event" dropped={dropped} unlisted={events.length - mostListed} />
    </>
  );
}

function Links({ links, dropped }: { links: SpanLink[]; dropped: number }): JSX.Element {
  return (
    <>
      <ul class="links">
        {links.slice(0, mostListed).map((link, i) => (
          // A span may link to the same place twice.
          <li key={i}>
            {/^[0-9a-f]{1,32}$/.test(link.traceId) ? (
              <Link href={traceUrl(link.traceId, link.spanId)}>
                <Icon name="link" />
                <code>{link.traceId}</code> <span class="muted">span</span>{" "}
                <code>{oneLine(link.spanId, 40)}</code>
              </Link>
            ) : (
              <span class="muted">a link without a valid trace id</span>
            )}
            {link.attributes.length > 0 ? (
              <AttributeTable attributes={link.attributes} dropped={link.droppedAttributes} />
            ) : null}
          </li>
        ))}
      </ul>
      <Dropped what="link" dropped={dropped} unlisted={links.length - mostListed} />
    </>
  );
}

function Dropped({
  what,
  dropped,
  unlisted,
}: {
  what: string;
  dropped: number;
  unlisted: number;
}): JSX.Element | null {
  return (
    <>
      {unlisted > 0 ? (
        <p class="muted">{plural(unlisted, `more ${what}`, `more ${what}s`)}; the download has all.</p>
      ) : null}
      {dropped > 0 ? <p class="muted">The SDK left out {plural(dropped, what)} by its limits.</p> : null}
    </>
  );
}

function Ids({ node }: { node: Node }): JSX.Element {
  const { span } = node;
  const rows: [string, string, boolean][] = [
    ["Span ID", span.spanId, true],
    ["Parent span ID", span.parentSpanId, true],
    ["Trace ID", span.traceId, true],
    ["Trace state", span.traceState, false],
    ["Scope", [span.scope.name, span.scope.version].filter(Boolean).join(" "), false],
  ];
  return (
    <>
      <dl class="ids">
        {rows.map(([name, value, id]) =>
          value ? (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                {id ? <code>{oneLine(value, 64)}</code> : <LongText text={value} />}
                {id ? <Copy text={value} what={`the ${name.toLowerCase()}`} /> : null}
              </dd>
            </div>
          ) : null,
        )}
      </dl>
      {span.scope.attributes.length > 0 ? <AttributeTable attributes={span.scope.attributes} /> : null}
    </>
  );
}
