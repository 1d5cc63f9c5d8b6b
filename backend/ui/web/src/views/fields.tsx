// The controls of the filter form.

import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { instant } from "../lib/filter";

/** A labelled control; `children` gives the control its id. */
export function Field(props: {
  label: string;
  fault?: string | undefined;
  wide?: boolean;
  narrow?: boolean;
  children: (id: string) => JSX.Element;
}): JSX.Element {
  const id = useId();
  return (
    <div
      class={`field ${props.wide ? "wide" : ""} ${props.narrow ? "narrow" : ""} ${props.fault ? "wrong" : ""}`}
    >
      <label class="field-label" for={id}>
        {props.label}
      </label>
      {props.children(id)}
      {props.fault ? (
        <span class="fault" role="alert">
          {props.fault}
        </span>
      ) : null}
    </div>
  );
}

/** A text that counts when it is left or Enter is pressed, not at each letter. */
export function Text(props: {
  id: string;
  value: string;
  placeholder: string;
  list?: string;
  onCommit: (value: string) => void;
}): JSX.Element {
  const [draft, setDraft] = useState(props.value);
  useEffect(() => setDraft(props.value), [props.value]);
  const commit = (): void => {
    const value = draft.trim();
    props.onCommit(value);
    if (props.value === "") setDraft("");
    else setDraft(value);
  };
  return (
    <input
      id={props.id}
      type="text"
      value={draft}
      placeholder={props.placeholder}
      list={props.list}
      autocomplete="off"
      spellcheck={false}
      maxLength={2048}
      onInput={(e) => setDraft(e.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(e) => {
        if (e.key === "Enter") {
          e.preventDefault();
          commit();
        }
      }}
    />
  );
}

/** A date and time in the browser's zone, kept in the filter as RFC 3339. */
export function Moment({
  id,
  value,
  onCommit,
}: {
  id: string;
  value: string;
  onCommit: (value: string) => void;
}): JSX.Element {
  const nano = instant(value);
  let local = "";
  if (nano !== undefined) {
    const date = new Date(Number(nano / 1_000_000n));
    local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  }
  return (
    <input
      id={id}
      type="datetime-local"
      step="1"
      value={local}
      onChange={(e) => {
        const date = new Date(e.currentTarget.value);
        onCommit(Number.isNaN(date.getTime()) ? "" : date.toISOString());
      }}
    />
  );
}
