// Makes OTLP JSON for tests.

export interface SpanSpec {
  id: string;
  parent?: string;
  name?: string;
  service?: string;
  /** Nanoseconds since the epoch of the tests. */
  start?: number;
  duration?: number;
  [field: string]: unknown;
}

export const epoch = 1_790_000_000_000_000_000n;

export function otlp(specs: SpanSpec[], traceId = "5b8efff798038103d269b633813fc60c"): unknown[] {
  return specs.map(({ id, parent = "", name = id, service = "s", start = 0, duration = 10, ...rest }) => ({
    resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
    scopeSpans: [
      {
        scope: { name: "test" },
        spans: [
          {
            traceId,
            spanId: id,
            parentSpanId: parent,
            name,
            kind: 1,
            startTimeUnixNano: String(epoch + BigInt(start)),
            endTimeUnixNano: String(epoch + BigInt(start + duration)),
            ...rest,
          },
        ],
      },
    ],
  }));
}

/** A deterministic stand-in for Math.random: mulberry32. */
export function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const spanId = (n: number): string => n.toString(16).padStart(16, "0");
