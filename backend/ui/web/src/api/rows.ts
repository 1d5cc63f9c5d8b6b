// From the API's summary to a row of the list. Wire types stop here.

import { nanos } from "../lib/otlp";
import type { TraceRow } from "../lib/trace-rows";
import type { SummaryJson } from "./types";

export function rowOf(json: SummaryJson): TraceRow {
  return {
    traceId: json.traceId,
    rootService: json.rootService,
    rootName: json.rootName,
    hasRoot: json.hasRoot,
    startNano: nanos(json.startTimeUnixNano),
    duration: Number(nanos(json.durationNano)),
    spans: json.spanCount,
    errors: json.errorCount,
    orphans: json.orphanCount,
    services: json.services.map((s) => ({ name: s.name, spans: s.spanCount, errors: s.errorCount })),
    lastReceivedNano: nanos(json.lastReceivedUnixNano),
  };
}
