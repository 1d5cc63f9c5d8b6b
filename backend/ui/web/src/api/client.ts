// Requests to the native API. A failed one throws an ApiError whose message is
// for people: the server's own sentence when it sent one.

import type { OperationsJson, ServicesJson, StatusJson, TraceJson, TracesJson } from "./types";

export const base = "/api/native/v1";

export class ApiError extends Error {
  /** `code` is the API's, or "unreachable" when no answer came. */
  constructor(
    message: string,
    readonly code: string,
    readonly status: number,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

export interface Answer<T> {
  body: T;
  /** The server's clock at the answer, unix milliseconds, to the second; 0 when it did not say. */
  serverMillis: number;
}

/** Leaves for the login, which comes back here: the server's token has changed or the session has ended. */
function logIn(): void {
  const here = location.pathname + location.search;
  location.assign(`/login?next=${encodeURIComponent(here)}`);
}

async function get<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
  let response: Response;
  try {
    response = await fetch(base + path, {
      headers: { Accept: "application/json" },
      ...(signal ? { signal } : {}),
    });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new ApiError("The server does not answer.", "unreachable", 0);
  }
  if (response.status === 401) logIn();
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(
      `The server answered ${response.status} with something that is not JSON.`,
      "internal",
      response.status,
    );
  }
  if (!response.ok) {
    const { code, message } = (body as { error?: { code?: string; message?: string } }).error ?? {};
    throw new ApiError(
      message ?? `The server answered ${response.status}.`,
      code ?? "internal",
      response.status,
    );
  }
  return { body: body as T, serverMillis: Date.parse(response.headers.get("Date") ?? "") || 0 };
}

export const getTraces = (params: URLSearchParams, signal?: AbortSignal): Promise<Answer<TracesJson>> =>
  get(`/traces?${params}`, signal);

export const getTrace = (traceId: string, signal?: AbortSignal): Promise<Answer<TraceJson>> =>
  get(`/traces/${encodeURIComponent(traceId)}`, signal);

export const getStatus = (): Promise<Answer<StatusJson>> => get("/status");

export const getServices = (): Promise<Answer<ServicesJson>> => get("/services");

export const getOperations = (service: string | undefined): Promise<Answer<OperationsJson>> =>
  get(service === undefined ? "/operations" : `/operations?service=${encodeURIComponent(service)}`);
