// The filter of the trace list. Selects act at once, text on Enter or when it is
// left; the filter lives in the URL, so that a link shares it.

import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { getOperations } from "../api/client";
import {
  type Filter,
  faults,
  filterToUrl,
  isEmpty,
  kinds,
  lookbacks,
  noFilter,
  statuses,
} from "../lib/filter";
import { oneLine, serviceLabel } from "../lib/text";
import { listUrl, navigate } from "../state/router";
import { filter, services } from "../state/trace-list";
import { Field, Moment, Text } from "./fields";
import { Icon } from "./icons";

function change(part: Partial<Filter>): void {
  const next = { ...filter.value, ...part };
  const url = listUrl(filterToUrl(next));
  if (url !== listUrl(filterToUrl(filter.value))) navigate(url);
}

const lookbackWords: Record<string, string> = {
  "5m": "Last 5 minutes",
  "15m": "Last 15 minutes",
  "1h": "Last hour",
  "6h": "Last 6 hours",
  "24h": "Last 24 hours",
  "7d": "Last 7 days",
};

// A service select has values of its own, since "" is a service.
const any = "any";

export function FilterBar(): JSX.Element {
  const current = filter.value;
  const wrong = faults(current);
  const names = useOperations(current.service);
  const namesId = useId();
  const [open, setOpen] = useState(false);
  const [custom, setCustom] = useState(false);
  const absolute = custom || current.start !== "" || current.end !== "";
  const known = services.value;
  const options =
    current.service !== undefined && !known.includes(current.service) ? [...known, current.service] : known;
  return (
    <form
      class={`filters ${open ? "open" : ""}`}
      role="search"
      aria-label="Filter traces"
      onSubmit={(event) => event.preventDefault()}
    >
      <button type="button" class="button filters-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="filter" />
        {isEmpty(current) ? "Filter" : "Filter (on)"}
      </button>
      <div class="fields">
        <Field label="Service">
          {(id) => (
            <select
              id={id}
              value={current.service === undefined ? any : `=${current.service}`}
              onChange={(e) => {
                const value = e.currentTarget.value;
                change({ service: value === any ? undefined : value.slice(1) });
              }}
            >
              <option value={any}>All services</option>
              {options.map((name) => (
                <option key={name} value={`=${name}`}>
                  {serviceLabel(name)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Span name" wide>
          {(id) => (
            <>
              <Text
                id={id}
                value={current.name}
                list={namesId}
                placeholder="any"
                onCommit={(name) => change({ name })}
              />
              <datalist id={namesId}>
                {names.map((name) => (
                  <option key={name} value={name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        <Field label="Kind">
          {(id) => (
            <select
              id={id}
              value={current.kind}
              onChange={(e) => change({ kind: e.currentTarget.value as Filter["kind"] })}
            >
              <option value="">any</option>
              {kinds.map((kind) => (
                <option key={kind} value={kind}>
                  {kind}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Status">
          {(id) => (
            <select
              id={id}
              value={current.status}
              onChange={(e) => change({ status: e.currentTarget.value as Filter["status"] })}
            >
              <option value="">any</option>
              {statuses.map((s) => (
                <option key={s} value={s}>
                  {s}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Longer than" fault={wrong.minDuration} narrow>
          {(id) => (
            <>
              <Text
                id={id}
                value={current.minDuration}
                placeholder="250ms"
                onCommit={(minDuration) => change({ minDuration })}
              />
            </>
          )}
        </Field>
        <Field label="Shorter than" fault={wrong.maxDuration} narrow>
          {(id) => (
            <>
              <Text
                id={id}
                value={current.maxDuration}
                placeholder="1.5s"
                onCommit={(maxDuration) => change({ maxDuration })}
              />
            </>
          )}
        </Field>
        <Field label="Attribute" fault={wrong.attributes} wide>
          {(id) => (
            <>
              <Text
                id={id}
                value=""
                placeholder="key=value"
                onCommit={(a) => {
                  if (a && !current.attributes.includes(a))
                    change({ attributes: [...current.attributes, a] });
                }}
              />
            </>
          )}
        </Field>
        <Field label="Time">
          {(id) => (
            <select
              id={id}
              value={absolute ? "custom" : current.last}
              onChange={(e) => {
                const last = e.currentTarget.value;
                setCustom(last === "custom");
                change(last === "custom" ? { last: "" } : { last, start: "", end: "" });
              }}
            >
              <option value="">All stored</option>
              {lookbacks.map((last) => (
                <option key={last} value={last}>
                  {lookbackWords[last]}
                </option>
              ))}
              <option value="custom">From … to …</option>
            </select>
          )}
        </Field>
        {absolute ? (
          <>
            <Field label="From" fault={wrong.start}>
              {(id) => <Moment id={id} value={current.start} onCommit={(start) => change({ start })} />}
            </Field>
            <Field label="To" fault={wrong.end}>
              {(id) => <Moment id={id} value={current.end} onCommit={(end) => change({ end })} />}
            </Field>
          </>
        ) : null}
        {isEmpty(current) ? null : (
          <button type="button" class="button clear" onClick={() => change(noFilter)}>
            <Icon name="close" />
            Clear
          </button>
        )}
      </div>
      {current.attributes.length > 0 ? (
        <ul class="conditions" aria-label="Attribute conditions">
          {current.attributes.map((a) => (
            <li key={a} class="chip">
              <bdi>{oneLine(a, 80)}</bdi>
              <button
                type="button"
                class="icon-button small"
                aria-label={`Remove ${oneLine(a, 80)}`}
                onClick={() => change({ attributes: current.attributes.filter((x) => x !== a) })}
              >
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      ) : null}
    </form>
  );
}

const mostNames = 500;

function useOperations(service: string | undefined): string[] {
  const [names, setNames] = useState<string[]>([]);
  const seen = services.value.length;
  // A new service brings new names.
  useEffect(() => {
    let current = true;
    getOperations(service).then(
      ({ body }) => {
        if (current) setNames([...new Set(body.operations.map((o) => o.name))].slice(0, mostNames));
      },
      () => {},
    );
    return () => {
      current = false;
    };
  }, [service, seen]);
  return names;
}
