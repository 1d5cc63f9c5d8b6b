// The help dialog: the keyboard, and how to find.

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { help } from "../lib/keys";
import { Icon } from "./icons";

export const helpOpen = signal(false);

export function Help(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    if (!open) dialog.current?.close();
  }, [open]);
  const close = (): void => {
    helpOpen.value = false;
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a click beside the dialog closes it, as Escape does by itself
    <dialog
      ref={dialog}
      class="help"
      aria-labelledby="help-title"
      onClose={close}
      onClick={(event) => {
        if (event.target === dialog.current) close();
      }}
    >
      <div class="help-head">
        <h2 id="help-title">Keyboard</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      <div class="help-body">
        {help.map((group) => (
          <section key={group.title}>
            <h3>{group.title}</h3>
            <dl>
              {group.rows.map(([keys, what]) => (
                <div key={keys}>
                  <dt>
                    <kbd>{keys}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>What to type into Find</h3>
          <p>
            Words that all occur in a span, in any field. <code>http.route=/items</code> looks at one
            attribute; <code>service:</code>, <code>name:</code>, <code>kind:</code>, <code>status:</code> and{" "}
            <code>id:</code> at one field. Quotes keep words together.
          </p>
          <p>On the trace list, ↑ and ↓ move between traces and Enter opens one.</p>
        </section>
      </div>
    </dialog>
  );
}
