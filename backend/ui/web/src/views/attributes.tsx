// Attributes as a table. Keys and values are whatever somebody sent.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { filterToUrl, noFilter } from "../lib/filter";
import { plural } from "../lib/format";
import { type Attribute, textOf, type Value } from "../lib/otlp";
import { oneLine, webLink } from "../lib/text";
import { listUrl } from "../state/router";
import { Copy, Link, LongText } from "./common";
import { Icon } from "./icons";

const mostRows = 100;

export function AttributeTable({
  attributes,
  searchable = false,
  dropped = 0,
}: {
  attributes: Attribute[];
  /** Whether the API can look for these: attributes of spans and resources. */
  searchable?: boolean;
  dropped?: number;
}): JSX.Element {
  const [all, setAll] = useState(false);
  const sorted = [...attributes].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const shown = all ? sorted : sorted.slice(0, mostRows);
  return (
    <>
      {attributes.length === 0 ? <p class="muted">None.</p> : null}
      {attributes.length > 0 ? (
        <table class="attributes">
          <thead class="offscreen">
            <tr>
              <th scope="col">Key</th>
              <th scope="col">Value</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((a, i) => (
              // A key may come twice.
              <tr key={`${i} ${a.key}`}>
                <th scope="row">
                  <bdi>{oneLine(a.key)}</bdi>
                </th>
                <td>
                  <ValueView value={a.value} />
                  <span class="value-tools">
                    {searchable ? <FindTraces attribute={a} /> : null}
                    <Copy text={textOf(a.value)} what={`the value of ${oneLine(a.key, 60)}`} />
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      {sorted.length > shown.length ? (
        <button type="button" class="text-button" onClick={() => setAll(true)}>
          show all {plural(sorted.length, "attribute")}
        </button>
      ) : null}
      {dropped > 0 ? (
        <p class="muted">The SDK left out {plural(dropped, "attribute")} by its limits.</p>
      ) : null}
    </>
  );
}

function ValueView({ value }: { value: Value }): JSX.Element {
  const text = textOf(value);
  if (value.type === "empty") return <span class="muted">{text || "empty"}</span>;
  if (text === "") return <span class="muted">empty string</span>;
  const href = value.type === "string" ? webLink(text) : undefined;
  if (href) {
    return (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        <LongText text={text} />
      </a>
    );
  }
  return (
    <span class={`value-${value.type}`}>
      <LongText text={text} />
      {value.type === "bytes" ? <span class="muted"> base64</span> : null}
    </span>
  );
}

function FindTraces({ attribute }: { attribute: Attribute }): JSX.Element | null {
  const { key, value } = attribute;
  const text = textOf(value);
  if (
    value.type === "array" ||
    value.type === "map" ||
    value.type === "bytes" ||
    text.length > 300 ||
    !key ||
    key.includes("=")
  ) {
    return null;
  }
  const href = listUrl(filterToUrl({ ...noFilter, attributes: [`${key}=${text}`] }));
  return (
    <Link
      class="icon-button"
      href={href}
      title="Traces with this attribute"
      aria-label={`Traces with this ${oneLine(key, 60)}`}
    >
      <Icon name="filter" />
    </Link>
  );
}
