// The program: header, the page of the URL, help.

import { Component, type ComponentChildren, type JSX } from "preact";
import { useEffect } from "preact/hooks";
import { route } from "../state/router";
import { Link, Notice } from "./common";
import { Header } from "./header";
import { Help, helpOpen } from "./help";
import { TraceListPage } from "./trace-list";
import { TraceView } from "./trace-page";

export function App(): JSX.Element {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.key === "?" && !target.closest("input, textarea, select, dialog")) helpOpen.value = true;
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Header />
      <Guard>
        <Page />
      </Guard>
      <Help />
    </>
  );
}

/** A fault of ours, or an answer that nobody expected, leaves words instead of a blank page. */
class Guard extends Component<{ children: ComponentChildren }, { fault: string }> {
  override state = { fault: "" };

  override componentDidCatch(error: unknown): void {
    this.setState({ fault: String(error) });
  }

  override render(): ComponentChildren {
    const { fault } = this.state;
    if (!fault) return this.props.children;
    return (
      <main id="main" class="plain">
        <h1>This page could not be drawn</h1>
        <Notice kind="error">{fault}</Notice>
        <p>
          <button type="button" class="button" onClick={() => window.location.reload()}>
            Reload
          </button>
        </p>
      </main>
    );
  }
}

function Page(): JSX.Element {
  const current = route.value;
  switch (current.page) {
    case "list":
      return <TraceListPage query={current.query} />;
    case "trace":
      return <TraceView key={current.traceId} traceId={current.traceId} query={current.query} />;
    case "unknown":
      return (
        <main id="main" class="plain">
          <h1>No such page</h1>
          <p>
            <Link href="/">All traces</Link>
          </p>
        </main>
      );
  }
}
