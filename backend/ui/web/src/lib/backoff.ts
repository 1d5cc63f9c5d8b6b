// The wait before the next attempt to connect: half a second, doubled with each
// failure up to 15 seconds, and shortened by up to a third at random, so that
// many pages do not come back at the same moment.

export function backoff(failures: number, random: number): number {
  const full = Math.min(15_000, 500 * 2 ** Math.min(failures, 10));
  return Math.round(full * (1 - random / 3));
}
