// Small pieces used on both pages.

import type { AnchorHTMLAttributes, ComponentChildren, CSSProperties, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { clip, serviceLabel, visible } from "../lib/text";
import { serviceSlot } from "../state/colours";
import { followInside } from "../state/router";
import { Icon } from "./icons";

/** CSS variables that give an element its service's colour; see .swatch and .bar in the stylesheet. */
export function serviceStyle(name: string): CSSProperties {
  const { light, dark } = serviceSlot(name);
  return { "--service": `light-dark(${light}, ${dark})` } as CSSProperties;
}

export function Swatch({ service }: { service: string }): JSX.Element {
  return (
    <span
      class="swatch"
      data-pattern={serviceSlot(service).pattern}
      style={serviceStyle(service)}
      aria-hidden="true"
    />
  );
}

export function Service({ name, children }: { name: string; children?: ComponentChildren }): JSX.Element {
  return (
    <span class={name.trim() === "" ? "service nameless" : "service"}>
      <Swatch service={name} />
      <bdi>{serviceLabel(name)}</bdi>
      {children}
    </span>
  );
}

/** A link within the program. */
export function Link(props: AnchorHTMLAttributes<HTMLAnchorElement>): JSX.Element {
  // biome-ignore lint/a11y/useValidAnchor: the href comes with the props, and works without the handler
  // biome-ignore lint/a11y/useKeyWithClickEvents: a key on a link is a click
  // biome-ignore lint/a11y/noStaticElementInteractions: a link
  return <a {...props} onClick={followInside} />;
}

export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https there is no clipboard but this one.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** A button that copies; it says so for a moment. */
export function Copy({
  text,
  what,
  children,
}: {
  text: string;
  what: string;
  children?: ComponentChildren;
}): JSX.Element {
  const [state, setState] = useState<"" | "copied" | "failed">("");
  const timer = useRef<number | undefined>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const copy = async (): Promise<void> => {
    setState((await copyText(text)) ? "copied" : "failed");
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setState(""), 1_500);
  };
  const said = state === "copied" ? "Copied" : state === "failed" ? "Could not copy" : `Copy ${what}`;
  return (
    <button type="button" class={children ? "button" : "icon-button"} title={said} onClick={copy}>
      <Icon name={state === "copied" ? "done" : state === "failed" ? "warning" : "copy"} />
      {children ?? null}
      <span class="offscreen" role="status">
        {state ? said : ""}
      </span>
      {children ? null : <span class="offscreen">{`Copy ${what}`}</span>}
    </button>
  );
}

const firstShown = 600;
const mostShown = 200_000;

/** Text of any length and content: clipped until asked for, with invisible characters made visible. */
export function LongText({ text }: { text: string }): JSX.Element {
  const [all, setAll] = useState(false);
  const length = all ? mostShown : firstShown;
  const shown = clip(text, length);
  return (
    <>
      <bdi class="value">{visible(shown)}</bdi>
      {text.length > firstShown ? (
        <span class="more">
          {shown.length < text.length ? "… " : " "}
          <button type="button" class="text-button" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? "show less" : `show all ${text.length.toLocaleString("en-US")} characters`}
          </button>
          {all && text.length > mostShown
            ? ` (the first ${mostShown.toLocaleString("en-US")}; copy it for the rest)`
            : ""}
        </span>
      ) : null}
    </>
  );
}

export function Notice({
  kind,
  children,
}: {
  kind: "info" | "warning" | "error";
  children: ComponentChildren;
}): JSX.Element {
  return (
    <div class={`notice ${kind}`} role={kind === "error" ? "alert" : "note"}>
      <Icon name={kind === "error" ? "error" : kind === "warning" ? "warning" : "event"} />
      <div>{children}</div>
    </div>
  );
}
