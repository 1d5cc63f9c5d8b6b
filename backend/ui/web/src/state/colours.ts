// The colours given to services, remembered by the browser, so that a service
// looks the same on every page and tomorrow.

import { Assignment, type Slot, slot } from "../lib/colours";
import { load, save } from "./storage";

function stored(): string[] {
  const names = load("service-colours");
  return Array.isArray(names) ? names.filter((name): name is string => typeof name === "string") : [];
}

let assignment = new Assignment(stored());

export function serviceSlot(name: string): Slot {
  if (!assignment.knows(name)) {
    // Another tab may have given colours in the meantime; where it went on from ours, its word counts.
    const elsewhere = stored();
    if (assignment.names.every((n, i) => elsewhere[i] === n)) assignment = new Assignment(elsewhere);
    assignment.slotOf(name);
    save("service-colours", assignment.names);
  }
  return slot(assignment.slotOf(name));
}
