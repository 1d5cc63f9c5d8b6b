// What the browser remembers. Storage may be full, forbidden or edited by hand;
// then the page works all the same and forgets.

export function load(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(`throughline.${key}`) ?? "null");
  } catch {
    return null;
  }
}

export function save(key: string, value: unknown): void {
  try {
    localStorage.setItem(`throughline.${key}`, JSON.stringify(value));
  } catch {
    // Forgotten with the page.
  }
}
