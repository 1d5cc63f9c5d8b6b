// Icons, 16 by 16, drawn with the colour of the text. They are decoration: the
// words that say the same stand beside them or in a label.

import type { JSX } from "preact";

const shapes = {
  chevron: <path d="m6 4 4 4-4 4" />,
  back: <path d="M10 3.5 5.5 8l4.5 4.5" />,
  error: (
    <>
      <circle cx="8" cy="8" r="6.2" fill="currentColor" stroke="none" />
      <path d="M8 4.6v4M8 10.9v.4" stroke="var(--on-error)" stroke-width="1.8" />
    </>
  ),
  "error-below": (
    <>
      <circle cx="8" cy="8" r="5.7" />
      <path d="M8 5.2v3.4M8 10.7v.2" stroke-width="1.6" />
    </>
  ),
  warning: (
    <>
      <path d="M8 2.2 14.4 13.4H1.6Z" />
      <path d="M8 6.4v3.3M8 11.4v.2" />
    </>
  ),
  copy: (
    <>
      <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
      <path d="M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2" />
    </>
  ),
  done: <path d="m3 8.5 3.2 3.2L13 5" />,
  close: <path d="m4 4 8 8M12 4l-8 8" />,
  link: (
    <path d="M6.7 9.3a2.6 2.6 0 0 0 3.7 0l2.3-2.3A2.6 2.6 0 0 0 9 3.3l-.8.8M9.3 6.7a2.6 2.6 0 0 0-3.7 0L3.3 9A2.6 2.6 0 0 0 7 12.7l.8-.8" />
  ),
  search: (
    <>
      <circle cx="7" cy="7" r="4.3" />
      <path d="m10.3 10.3 3.4 3.4" />
    </>
  ),
  pause: <path d="M5.5 3.5v9M10.5 3.5v9" stroke-width="2" />,
  play: <path d="m5 3.2 7.5 4.8L5 12.8Z" fill="currentColor" />,
  download: <path d="M8 2.5v7.5M4.8 7.2 8 10.4l3.2-3.2M3 13.3h10" />,
  light: (
    <>
      <circle cx="8" cy="8" r="3" />
      <path d="M8 1.5v1.6M8 12.9v1.6M1.5 8h1.6M12.9 8h1.6M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M12.6 3.4l-1.1 1.1M4.5 11.5l-1.1 1.1" />
    </>
  ),
  dark: <path d="M13.2 9.8A5.6 5.6 0 0 1 6.2 2.8a5.6 5.6 0 1 0 7 7Z" />,
  system: (
    <>
      <circle cx="8" cy="8" r="5.6" />
      <path d="M8 2.4a5.6 5.6 0 0 1 0 11.2Z" fill="currentColor" />
    </>
  ),
  filter: <path d="M2.5 3.5h11L9.3 8.6v4L6.7 11V8.6Z" />,
  up: <path d="M8 13V3.5M4 7.2l4-4 4 4" />,
  "zoom-in": <path d="M8 3.5v9M3.5 8h9" />,
  "zoom-out": <path d="M3.5 8h9" />,
  "expand-all": <path d="m4.5 6 3.5-3.5L11.5 6M4.5 10l3.5 3.5 3.5-3.5" />,
  "collapse-all": <path d="M4.5 2.8 8 6.3l3.5-3.5M4.5 13.2 8 9.7l3.5 3.5" />,
  event: <path d="M8 2.6 12.6 8 8 13.4 3.4 8Z" />,
} satisfies Record<string, JSX.Element>;

export type IconName = keyof typeof shapes;

export function Icon({ name, class: className = "" }: { name: IconName; class?: string }): JSX.Element {
  return (
    <svg
      class={`icon ${className}`}
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {shapes[name]}
    </svg>
  );
}
