/** Numbers, sizes and times as short texts. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(size: number): string {
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || size >= 100 || Number.isInteger(size) ? 0 : 1;
  return `${size.toFixed(digits)} ${UNITS[unit]}`;
}

/** A duration in seconds: `4 ms`, `0.42 s`, `12.3 s`, `4 min 05 s`, `2 h 03 min`, `3 d 4 h`. */
export function duration(seconds: number): string {
  if (seconds < 0) seconds = 0;
  if (seconds > 0 && seconds < 0.01) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** How long ago a time is: `now`, `12 s ago`, `3 min ago`, `2 h ago`, `4 d ago`. */
export function ago(time: number, now: number): string {
  const seconds = Math.max(0, now - time);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** A time in seconds since 1970 as local date and time: `2026-11-29 23:19:49`. */
export function exact(time: number): string {
  const date = new Date(time * 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${clock(time)}`;
}

export function clock(time: number): string {
  const date = new Date(time * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Seconds since 1970 of an ISO 8601 text, or null. */
export function seconds(iso: string | null | undefined): number | null {
  const found = iso ? Date.parse(iso) / 1000 : NaN;
  return Number.isFinite(found) ? found : null;
}

/** A number with at most six significant digits, and without an exponent where it can be avoided. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en");
  return String(Number(value.toPrecision(6)));
}

export function plural(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

export function shortId(id: string): string {
  return id.slice(0, 8);
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
