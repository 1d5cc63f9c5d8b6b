// What stands where the list would be while nothing is stored: what the server
// has seen so far, and how to send a first trace.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { StatusJson } from "../api/types";
import { articlesExample, curlExample, environment, reachable } from "../lib/first-trace";
import { formatAgo, formatDuration, plural } from "../lib/format";
import { clock, clockOffset, status } from "../state/server";
import { Copy, Notice } from "./common";

function randomHex(bytes: number): string {
  return [...crypto.getRandomValues(new Uint8Array(bytes))]
    .map((b) => b.toString(16).padStart(2, "0"))
    .join("");
}

export function EmptyState(): JSX.Element {
  const now = status.value;
  const host = window.location.hostname;
  const receivers = now?.receivers ?? [];
  const http = receivers.find((r) => r.protocol === "http");
  const ids = useMemo(
    () => ({ traceId: randomHex(16), spanId: randomHex(8), nano: BigInt(Date.now()) * 1_000_000n }),
    [],
  );
  const curl = http
    ? curlExample(reachable(http.address, host), ids.traceId, ids.spanId, ids.nano)
    : undefined;
  const env = environment(receivers, host);
  return (
    <section class="empty" aria-labelledby="empty-title">
      <h2 id="empty-title">Waiting for the first trace</h2>
      <p class="lead">It will appear here by itself, within a second of arriving.</p>
      {now ? <Diagnosis status={now} /> : null}
      <div class="ways">
        <Way title="See two services traced" code={articlesExample(Number(window.location.port))}>
          With the example services running: <code>make up</code> in a checkout of Throughline starts articles
          in Go and suggestions in Python.
        </Way>
        {curl ? (
          <Way title="Send one span by hand" code={curl}>
            OTLP as JSON, by HTTP, from any terminal on the machine of the server.
          </Way>
        ) : null}
        <Way title="Your Go or Python service, with Throughline's packages" code={env.throughline}>
          The environment variable of <code>tracing/go</code> and <code>throughline-tracing</code>.
        </Way>
        <Way title="Any service with an OpenTelemetry SDK" code={env.standard}>
          The standard variables; for Python, run it by <code>opentelemetry-instrument python app.py</code>.
          An SDK sends every five seconds unless <code>OTEL_BSP_SCHEDULE_DELAY</code> says otherwise.
        </Way>
      </div>
    </section>
  );
}

function Way({
  title,
  code,
  children,
}: {
  title: string;
  code: string;
  children: JSX.Element | (JSX.Element | string)[] | string;
}): JSX.Element {
  return (
    <section class="way">
      <h3>{title}</h3>
      <p>{children}</p>
      <div class="code">
        <pre>
          <code>{code}</code>
        </pre>
        <Copy text={code} what={title} />
      </div>
    </section>
  );
}

/** What the server has received so far, in words; the reason of a rejection above all. */
function Diagnosis({ status: s }: { status: StatusJson }): JSX.Element {
  const now = clock.value + clockOffset.value;
  const { ingest, store } = s;
  const rejected = ingest.lastRejected;
  const listening = s.receivers
    .map((r) => `${r.protocol === "grpc" ? "gRPC" : "HTTP"} ${r.address}`)
    .join(" and ");
  return (
    <div class="diagnosis" role="status">
      <p>
        {ingest.acceptedSpans === 0
          ? `Nothing has been received in the ${formatDuration(Number(s.uptimeNano))} since the server started.`
          : store.evictedTraces > 0
            ? `${plural(ingest.acceptedSpans, "span")} were received, and all of them had to make room for others.`
            : `${plural(ingest.acceptedSpans, "span")} were received, none of which is stored now.`}{" "}
        {listening ? `Listening for OTLP on ${listening}.` : "No receiver is listening."}
      </p>
      {rejected ? (
        <Notice kind="warning">
          The last export that was rejected, {formatAgo(BigInt(rejected.timeUnixNano), now)} by{" "}
          {rejected.protocol}: <bdi class="value">{rejected.reason}</bdi>
          {ingest.rejectedRequests > 1
            ? ` (${plural(ingest.rejectedRequests, "request")} rejected in all)`
            : ""}
        </Notice>
      ) : null}
    </div>
  );
}
