// Colours of services. A service gets the first free slot when it is first seen
// and keeps it, so that a few services always have the colours that are furthest
// apart, and one service looks the same on every page. A slot is free again when
// its service has not been seen for a week.
//
// The palette was searched for in OKLCH: the smallest CIEDE2000 distance over
// all pairs, in normal sight and under simulated protanopia, deuteranopia and
// tritanopia, as large as it goes, at a contrast of 3 to 1 with the page. Reds
// were left out, because red says error. The tests hold these properties. With
// more services than colours the slots repeat with stripes, then with dots.

export interface Slot {
  light: string;
  dark: string;
  pattern: "plain" | "stripes" | "dots";
}

export const palette: readonly { light: string; dark: string }[] = [
  { light: "#2463c9", dark: "#5b9bff" }, // blue
  { light: "#c06a00", dark: "#f5a524" }, // orange
  { light: "#5b1058", dark: "#9e5298" }, // plum
  { light: "#109a96", dark: "#40e3df" }, // turquoise
  { light: "#5f6875", dark: "#98a1ae" }, // grey
  { light: "#6f9352", dark: "#5d7f3f" }, // moss
  { light: "#025147", dark: "#1e907f" }, // pine
  { light: "#2021ad", dark: "#4761eb" }, // indigo
];

const patterns = ["plain", "stripes", "dots"] as const;

/** How many services can have a look of their own at a time. */
export const slots = palette.length * patterns.length;

const restDays = 7;

/** Who has a slot, and the day, in days since 1970, on which it was last seen. */
export interface Holder {
  name: string;
  day: number;
}

export function slot(index: number): Slot {
  const colour = palette[index % palette.length] ?? { light: "#5f6875", dark: "#98a1ae" };
  const pattern = patterns[Math.floor(index / palette.length) % patterns.length] ?? "plain";
  return { ...colour, pattern };
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return h;
}

/** Slots by service name. `holders` is what was remembered, in slot order. */
export class Assignment {
  readonly holders: Holder[];
  private readonly index = new Map<string, number>();
  /** Shown since the page was loaded: these keep their slots whatever comes. */
  private readonly shown = new Set<number>();

  constructor(
    holders: readonly Holder[] = [],
    private readonly today = 0,
  ) {
    this.holders = holders.slice(0, slots).map((h) => ({ ...h }));
    this.holders.forEach(({ name }, i) => {
      if (!this.index.has(name)) this.index.set(name, i);
    });
  }

  /** Whether slotOf will change nothing that is worth remembering. */
  settled(name: string): boolean {
    const known = this.index.get(name);
    return known === undefined ? this.free() === undefined : this.holders[known]?.day === this.today;
  }

  /** The services that were shown since the page was loaded. */
  shownNames(): string[] {
    return [...this.shown].flatMap((i) => this.holders[i]?.name ?? []);
  }

  /** The slot of a service, given to it now if it has none. With no slot left, its hash decides. */
  slotOf(name: string): number {
    const index = this.index.get(name) ?? this.free();
    if (index === undefined) return hash(name) % slots;
    const before = this.holders[index];
    if (before && before.name !== name) this.index.delete(before.name);
    this.index.set(name, index);
    this.holders[index] = { name, day: this.today };
    this.shown.add(index);
    return index;
  }

  /** The first slot whose holder has rested, else a new one, else the one that has rested longest. */
  private free(): number | undefined {
    const rested = this.holders.findIndex((h, i) => h.day < this.today - restDays && !this.shown.has(i));
    if (rested >= 0) return rested;
    if (this.holders.length < slots) return this.holders.length;
    let longest: number | undefined;
    this.holders.forEach((h, i) => {
      const best = longest === undefined ? undefined : this.holders[longest];
      if (h.day < this.today && !this.shown.has(i) && (!best || h.day < best.day)) longest = i;
    });
    return longest;
  }
}
