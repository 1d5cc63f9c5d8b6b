// The native API's JSON, as backend/api/api.md describes it.

export interface ServiceInTraceJson {
  name: string;
  spanCount: number;
  errorCount: number;
}

export interface SummaryJson {
  traceId: string;
  rootService: string;
  rootName: string;
  rootKind: string;
  rootStatus: string;
  startTimeUnixNano: string;
  durationNano: string;
  spanCount: number;
  errorCount: number;
  orphanCount: number;
  hasRoot: boolean;
  services: ServiceInTraceJson[];
  lastReceivedUnixNano: string;
}

export interface TracesJson {
  traces: SummaryJson[];
  truncated: boolean;
}

export interface TraceJson {
  trace: SummaryJson;
  resourceSpans: unknown[];
}

export interface StatusJson {
  version: string;
  uptimeNano: string;
  receivers: { protocol: string; address: string }[];
  store: {
    traces: number;
    spans: number;
    bytes: number;
    maxBytes: number;
    evictedTraces: number;
    evictedSpans: number;
    writable: boolean;
    unwritableReason?: string;
  };
  ingest: {
    acceptedSpans: number;
    rejectedSpans: number;
    rejectedRequests: number;
    lastAcceptedUnixNano?: string;
    lastRejected?: { timeUnixNano: string; protocol: string; reason: string };
  };
}

export interface ServicesJson {
  services: { name: string; spanCount: number; errorCount: number; lastSeenUnixNano: string }[];
}

export interface OperationsJson {
  operations: { service: string; name: string; kind: string; spanCount: number; errorCount: number }[];
}
