// What the empty page tells a newcomer to run, with the receivers' real
// addresses in it.

export interface Receiver {
  protocol: string;
  address: string;
}

/** The address under which the page's host reaches a receiver: a wildcard becomes the page's own host name. */
export function reachable(address: string, pageHost: string): string {
  const match = /^(.*):(\d+)$/.exec(address);
  if (!match) return address;
  const [, host = "", port = ""] = match;
  const wildcard = host === "" || host === "0.0.0.0" || host === "[::]" || host === "::";
  return `${wildcard ? pageHost : host}:${port}`;
}

/** A curl command that sends one span. Ids are hex; `endNano` is now. */
export function curlExample(httpAddress: string, traceId: string, spanId: string, endNano: bigint): string {
  const body = {
    resourceSpans: [
      {
        resource: { attributes: [{ key: "service.name", value: { stringValue: "hello-service" } }] },
        scopeSpans: [
          {
            spans: [
              {
                traceId,
                spanId,
                name: "my first span",
                kind: 1,
                startTimeUnixNano: String(endNano - 250_000_000n),
                endTimeUnixNano: String(endNano),
              },
            ],
          },
        ],
      },
    ],
  };
  return `curl http://${httpAddress}/v1/traces -H 'Content-Type: application/json' -d '${JSON.stringify(body, null, 1).replace(/\n\s*/g, " ")}'`;
}

/**
 * The request to the example services of `throughline up`, which moves all its
 * ports by one offset: the one that this page's port has.
 */
export function articlesExample(pagePort: number): string {
  const offset = pagePort - 16_686;
  const port = offset > 0 && offset + 16_686 < 65_536 ? 8001 + offset : 8001;
  return `curl 'http://localhost:${port}/articles/v1/?with_suggested=1'`;
}

export function environment(
  receivers: readonly Receiver[],
  pageHost: string,
): { throughline: string; standard: string } {
  const of = (protocol: string): string | undefined => {
    const found = receivers.find((r) => r.protocol === protocol);
    return found && reachable(found.address, pageHost);
  };
  const [grpc, http] = [of("grpc"), of("http")];
  return {
    throughline: `TRACING_BACKEND_URL=${grpc ?? `http://${http ?? "127.0.0.1:4318"}`}`,
    standard: http
      ? `OTEL_SERVICE_NAME=my-service\nOTEL_EXPORTER_OTLP_ENDPOINT=http://${http}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`
      : `OTEL_SERVICE_NAME=my-service\nOTEL_EXPORTER_OTLP_ENDPOINT=http://${grpc ?? "127.0.0.1:4317"}\nOTEL_EXPORTER_OTLP_PROTOCOL=grpc`,
  };
}
