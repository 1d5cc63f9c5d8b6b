// Colours of services. A service gets the first free slot when it is first seen
// and keeps it, so that a few services always have the colours that are furthest
// apart, and one service looks the same on every page.
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

/** How many services are remembered; the ones after that share slots by their hash. */
export const remembered = palette.length * patterns.length;

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

/** Slots by service name. `names` is what was remembered: the names in slot order. */
export class Assignment {
  readonly names: string[];
  private readonly index = new Map<string, number>();

  constructor(names: readonly string[] = []) {
    this.names = [...new Set(names)].slice(0, remembered);
    this.names.forEach((name, i) => {
      this.index.set(name, i);
    });
  }

  /** Whether the service's slot will not change by slotOf. */
  knows(name: string): boolean {
    return this.index.has(name) || this.names.length >= remembered;
  }

  /** The slot of a service, given to it now if it has none. */
  slotOf(name: string): number {
    const known = this.index.get(name);
    if (known !== undefined) return known;
    if (this.names.length >= remembered) return hash(name) % remembered;
    this.index.set(name, this.names.length);
    this.names.push(name);
    return this.names.length - 1;
  }
}
