// Dark or light: what the system prefers, unless a person switched.

import { computed, effect, signal } from "@preact/signals";
import { load, save } from "./storage";

export type Theme = "system" | "light" | "dark";

const isTheme = (v: unknown): v is Theme => v === "system" || v === "light" || v === "dark";
const remembered = load("theme");

export const theme = signal<Theme>(isTheme(remembered) ? remembered : "system");

const systemDark = window.matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", (event) => {
  systemIsDark.value = event.matches;
});

export const isDark = computed(() =>
  theme.value === "system" ? systemIsDark.value : theme.value === "dark",
);

effect(() => {
  document.documentElement.dataset["theme"] = theme.value;
});

export function setTheme(value: Theme): void {
  theme.value = value;
  save("theme", value);
}
