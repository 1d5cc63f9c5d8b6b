// Numbers and times as text. Durations are nanoseconds, points in time are unix
// nanoseconds as BigInt. Locale and time zone are arguments, so that tests do
// not depend on the machine.

const units: [number, string][] = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];

/** A duration with three significant digits: `850 ns`, `12.5 ms`, `1.05 s`, `2 min 5 s`, `3 d 4 h`. */
export function formatDuration(nanos: number): string {
  if (!Number.isFinite(nanos)) return "?";
  if (nanos < 0) return `−${formatDuration(-nanos)}`;
  if (nanos === 0) return "0";
  if (nanos >= 59.95e9) return formatLong(nanos);
  for (const [size, unit] of units) {
    // 999.6 µs would round to 1000 µs; it belongs to the next unit.
    if (nanos >= size * 0.9995 || size === 1) return `${threeDigits(nanos / size)} ${unit}`;
  }
  return "0";
}

function threeDigits(n: number): string {
  return String(Number(n.toPrecision(3)));
}

function formatLong(nanos: number): string {
  const seconds = Math.round(nanos / 1e9);
  const parts: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  for (let i = 0; i < parts.length - 1; i++) {
    const [size, unit] = parts[i] as [number, string];
    if (seconds < size) continue;
    const [small, smallUnit] = parts[i + 1] as [number, string];
    const rest = Math.floor((seconds % size) / small);
    const whole = `${Math.floor(seconds / size)} ${unit}`;
    return rest ? `${whole} ${rest} ${smallUnit}` : whole;
  }
  return `${seconds} s`;
}

/** A number with thousands separators: `12,345`. */
export function formatCount(n: number): string {
  return n.toLocaleString("en-US");
}

/** `1 span`, `2 spans`. */
export function plural(n: number, word: string, words = `${word}s`): string {
  return `${formatCount(n)} ${n === 1 ? word : words}`;
}

export function formatBytes(bytes: number): string {
  let n = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024) return `${unit === "B" ? n : threeDigits(n)} ${unit}`;
    n /= 1024;
  }
  return `${threeDigits(n)} TiB`;
}

const pad = (n: number, width: number): string => String(n).padStart(width, "0");

/** The time of day with milliseconds, `13:45:02.123`, and the day when it is not today's. */
export function formatTime(unixNano: bigint, now: Date, utc = false): { day: string; time: string } {
  const { day, time } = civil(unixNano, utc);
  return { day: day === civil(BigInt(now.getTime()) * 1_000_000n, utc).day ? "" : day, time };
}

/** Date and time to the nanosecond in UTC: `2026-11-23T13:45:02.123456789Z`. */
export function formatInstant(unixNano: bigint): string {
  const seconds = civil(unixNano, true);
  const fraction = String(unixNano % 1_000_000_000n).padStart(9, "0");
  return `${seconds.day}T${seconds.time.slice(0, 8)}.${fraction}Z`;
}

function civil(unixNano: bigint, utc: boolean): { day: string; time: string } {
  const d = new Date(Number(unixNano / 1_000_000n));
  if (Number.isNaN(d.getTime())) return { day: "?", time: `${unixNano} ns` };
  const [y, mo, day, h, mi, s, ms] = utc
    ? [
        d.getUTCFullYear(),
        d.getUTCMonth(),
        d.getUTCDate(),
        d.getUTCHours(),
        d.getUTCMinutes(),
        d.getUTCSeconds(),
        d.getUTCMilliseconds(),
      ]
    : [
        d.getFullYear(),
        d.getMonth(),
        d.getDate(),
        d.getHours(),
        d.getMinutes(),
        d.getSeconds(),
        d.getMilliseconds(),
      ];
  return {
    day: `${y}-${pad(mo + 1, 2)}-${pad(day, 2)}`,
    time: `${pad(h, 2)}:${pad(mi, 2)}:${pad(s, 2)}.${pad(ms, 3)}`,
  };
}

/** How long ago in one unit: `now`, `12 s ago`, `3 min ago`, `2 d ago`. */
export function formatAgo(unixNano: bigint, nowMillis: number): string {
  const seconds = Math.floor(nowMillis / 1000 - Number(unixNano / 1_000_000n) / 1000);
  if (seconds < 1) return "now";
  for (const [size, unit] of [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ] as const) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return `${seconds} s ago`;
}

/** `34 %`, `0.4 %`, `< 0.1 %`, `> 99 %`: neither 0 nor 100 unless it is. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0) return "–";
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 0.1) return "< 0.1 %";
  if (percent > 99 && percent < 100) return "> 99 %";
  return `${percent >= 10 ? Math.round(percent) : Number(percent.toPrecision(2))} %`;
}
