import type { Sample, State, Timeline } from "../api/types";

/** The samples of a task as columns: seconds since the start, CPUs, bytes of memory, bytes per second. */
export interface Series {
  times: number[];
  cpus: (number | null)[];
  memory: number[];
  read: (number | null)[];
  written: (number | null)[];
}

export function seriesOf(samples: readonly Sample[], start: number): Series {
  const series: Series = { times: [], cpus: [], memory: [], read: [], written: [] };
  samples.forEach((sample, at) => {
    const before = samples[at - 1];
    const passed = before ? sample.time - before.time : 0;
    const rate = (key: "read_bytes" | "written_bytes"): number | null =>
      before && passed > 0 ? Math.max(0, sample[key] - before[key]) / passed : null;
    series.times.push(sample.time - start);
    series.cpus.push(sample.cpus);
    series.memory.push(sample.memory);
    series.read.push(rate("read_bytes"));
    series.written.push(rate("written_bytes"));
  });
  return series;
}

/** Add samples that arrived later, without repeating any. */
export function mergeSamples(old: readonly Sample[], added: readonly Sample[]): Sample[] {
  const last = old.at(-1)?.time ?? -Infinity;
  return [...old, ...added.filter((sample) => sample.time > last)];
}

/** The last sample at or before a time. */
export function sampleAt(samples: readonly Sample[], time: number): Sample | undefined {
  let low = 0;
  let high = samples.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((samples[middle]?.time ?? 0) <= time) low = middle + 1;
    else high = middle;
  }
  return samples[low - 1];
}

export function stateAt(timeline: Timeline, time: number): State | undefined {
  return timeline.states.findLast((one) => one.start <= time)?.state;
}

/** How many bytes the log had at a time. */
export function byteAt(log: readonly [number, number][], time: number): number | null {
  if (!log.length) return null;
  let found = 0;
  for (const [when, byte] of log) {
    if (when > time) break;
    found = byte;
  }
  return found;
}

export type Span = [number, number];

/** The span that the timeline can show, in seconds since 1970: never empty. */
export function spanOf(timeline: Timeline, now: number): Span {
  const start = timeline.start ?? timeline.states[0]?.start ?? now;
  const end = timeline.end ?? now;
  return [start, Math.max(end, start + 0.1)];
}

const SHORTEST = 0.02; // seconds

/** A part of a span that is at least 20 ms long; null for the whole span. */
export function zoomedTo(whole: Span, from: number, to: number): Span | null {
  const length = Math.min(Math.max(Math.abs(to - from), SHORTEST), whole[1] - whole[0]);
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - length / 2, whole[0]), whole[1] - length);
  return length > (whole[1] - whole[0]) * 0.999 ? null : [start, start + length];
}

/** The span `factor` times as long, around a time. */
export function scaled(whole: Span, shown: Span, factor: number, around: number | null): Span | null {
  const at = around !== null && around >= shown[0] && around <= shown[1] ? around : (shown[0] + shown[1]) / 2;
  return zoomedTo(whole, at - (at - shown[0]) * factor, at + (shown[1] - at) * factor);
}
