import { describe, expect, it } from "vitest";
import type { Sample, Timeline } from "../src/api/types";
import { byteAt, mergeSamples, sampleAt, scaled, seriesOf, spanOf, zoomedTo, type Span } from "../src/timeline/series";

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

describe("the zoom of the timeline", () => {
  const whole: Span = [100, 200];
  it("shows the part that was dragged, in either direction", () => {
    expect(zoomedTo(whole, 120, 130)).toEqual([120, 130]);
    expect(zoomedTo(whole, 130, 120)).toEqual([120, 130]);
  });
  it("stays inside of the whole span, and has a shortest length", () => {
    expect(zoomedTo(whole, 100, 100)).toEqual([100, 100.02]);
    expect(zoomedTo(whole, 190, 230)).toEqual([160, 200]);
    expect(zoomedTo(whole, 90, 220)).toBeNull();
  });
  it("keeps the time at the cursor where it is", () => {
    expect(scaled(whole, [100, 200], 0.5, 150)).toEqual([125, 175]);
    expect(scaled(whole, [100, 200], 0.5, 120)).toEqual([110, 160]);
    expect(scaled(whole, [125, 175], 2, 150)).toBeNull();
    expect(scaled(whole, [110, 130], 0.5, 190)).toEqual([115, 125]);
  });
});
