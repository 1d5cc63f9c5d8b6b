// The top of every page: where one is, how the connection is doing, and the switches.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { navigate, traceUrl } from "../state/router";
import { clock, connection, outdated, retryNow, status } from "../state/server";
import { setTheme, type Theme, theme } from "../state/theme";
import { Link } from "./common";
import { helpOpen } from "./help";
import { Icon } from "./icons";

export function Header(): JSX.Element {
  return (
    <header class="top">
      <Link class="brand" href="/" aria-label="Throughline, all traces">
        <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
          <path d="M2 6h14" class="brand-a" />
          <path d="M7 12h15" class="brand-b" />
          <path d="M11 18h7" class="brand-a" />
        </svg>
        <span>Throughline</span>
      </Link>
      <OpenTrace />
      <span class="grow" />
      {outdated.value ? (
        <button type="button" class="text-button" onClick={() => window.location.reload()}>
          Throughline was updated: reload
        </button>
      ) : null}
      {status.value && !status.value.store.writable ? (
        <span class="refusing" role="alert" title={status.value.store.unwritableReason}>
          The store cannot write: new spans are refused
        </span>
      ) : null}
      <ConnectionState />
      <ThemeSwitch />
      <button
        type="button"
        class="icon-button help-button"
        title="Keyboard and help (?)"
        aria-label="Keyboard and help"
        onClick={() => {
          helpOpen.value = true;
        }}
      >
        ?
      </button>
    </header>
  );
}

/** Takes a trace id, or anything that contains one: a traceparent header, a log line, a URL. */
function OpenTrace(): JSX.Element {
  const [fault, setFault] = useState("");
  return (
    <form
      class="open-trace"
      role="search"
      aria-label="Open a trace"
      onSubmit={(event) => {
        event.preventDefault();
        const input = event.currentTarget.elements.namedItem("trace") as HTMLInputElement;
        const text = input.value.trim();
        const id = /[0-9a-f]{32}/i.exec(text)?.[0] ?? /^[0-9a-f]{1,31}$/i.exec(text)?.[0];
        if (!id) {
          setFault(text ? "No trace id in it: want up to 32 hex digits." : "");
          return;
        }
        setFault("");
        input.value = "";
        input.blur();
        navigate(traceUrl(id.toLowerCase()));
      }}
    >
      <label>
        <span class="offscreen">Open a trace by its id</span>
        <input
          name="trace"
          placeholder="Trace ID or traceparent"
          autocomplete="off"
          spellcheck={false}
          maxLength={4096}
        />
      </label>
      {fault ? (
        <span class="fault" role="alert">
          {fault}
        </span>
      ) : null}
    </form>
  );
}

function ConnectionState(): JSX.Element {
  const state = connection.value;
  if (state.phase === "waiting") {
    const seconds = Math.max(0, Math.ceil((state.until - clock.value) / 1000));
    return (
      <span class="connection waiting">
        <span role="status">Not connected</span>
        <span class="again" aria-hidden="true">
          {seconds > 0 ? `again in ${seconds} s` : "connecting…"}
        </span>
        <button type="button" class="text-button" onClick={retryNow}>
          Retry now
        </button>
      </span>
    );
  }
  const words = state.phase === "live" ? "Live" : "Connecting…";
  const version = status.value?.version;
  return (
    <span class={`connection ${state.phase}`} title={version ? `throughline ${version}` : undefined}>
      <span role="status">{words}</span>
    </span>
  );
}

const order: Theme[] = ["system", "light", "dark"];

function ThemeSwitch(): JSX.Element {
  const current = theme.value;
  const next = order[(order.indexOf(current) + 1) % order.length] ?? "system";
  return (
    <button
      type="button"
      class="icon-button"
      title={`Colours: ${current}. Switch to ${next}.`}
      aria-label={`Colours: ${current}. Switch to ${next}.`}
      onClick={() => setTheme(next)}
    >
      <Icon name={current} />
    </button>
  );
}
