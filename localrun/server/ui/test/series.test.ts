import { describe, expect, it } from "vitest";
import type { Sample, Timeline } from "../src/api/types";
import { byteAt, mergeSamples, sampleAt, seriesOf, spanOf } from "../src/timeline/series";

function sample(time: number, more: Partial<Sample> = {}): Sample {
  return { time, cpu_seconds: 0, cpus: null, memory: 0, memory_peak: 0, read_bytes: 0, written_bytes: 0, pids: 1, ...more };
}

describe("the series of the timeline", () => {
  it("counts from the start, and gives rates per second", () => {
    const series = seriesOf([sample(11), sample(13, { written_bytes: 100, read_bytes: 10 })], 10);
    expect(series.times).toEqual([1, 3]);
    expect(series.written).toEqual([null, 50]);
    expect(series.read).toEqual([null, 5]);
  });

  it("does not repeat samples", () => {
    const merged = mergeSamples([sample(1), sample(2)], [sample(2), sample(3)]);
    expect(merged.map((one) => one.time)).toEqual([1, 2, 3]);
  });

  it("finds what there was at a time", () => {
    expect(sampleAt([sample(1), sample(5)], 4)?.time).toBe(1);
    expect(sampleAt([sample(1)], 0)).toBeUndefined();
    expect([byteAt([[1, 10], [3, 50]], 2), byteAt([[1, 10]], 0), byteAt([], 1)]).toEqual([10, 0, null]);
  });

  it("always shows a span of time", () => {
    const timeline: Timeline = { start: 5, end: 5, now: 9, states: [], steps: [], timings: [], marks: [], log: [] };
    const [start, end] = spanOf(timeline, 9);
    expect(end).toBeGreaterThan(start);
    expect(spanOf({ ...timeline, end: null }, 9)).toEqual([5, 9]);
  });
});
