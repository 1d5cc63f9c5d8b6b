// The colours given to services, remembered by the browser, so that a service
// looks the same on every page and tomorrow.

import { Assignment, type Holder, type Slot, slot } from "../lib/colours";
import { load, save } from "./storage";

const today = Math.floor(Date.now() / 86_400_000);

function stored(): Holder[] {
  const holders = load("service-colours");
  if (!Array.isArray(holders)) return [];
  const good = (h: unknown): h is Holder =>
    typeof h === "object" &&
    h !== null &&
    typeof (h as Holder).name === "string" &&
    Number.isInteger((h as Holder).day);
  // One bad entry would move the others to other slots.
  return holders.every(good) ? holders : [];
}

let assignment = new Assignment(stored(), today);

export function serviceSlot(name: string): Slot {
  if (assignment.settled(name)) return slot(assignment.slotOf(name));
  // Another tab may have given colours in the meantime; where it went on from ours, its word counts.
  const elsewhere = stored();
  if (assignment.holders.every((h, i) => elsewhere[i]?.name === h.name)) {
    const shown = assignment.shownNames();
    assignment = new Assignment(elsewhere, today);
    for (const n of shown) assignment.slotOf(n);
  }
  const index = assignment.slotOf(name);
  save("service-colours", assignment.holders);
  return slot(index);
}
