import { describe, expect, it } from "vitest";
import { difference } from "../src/viewer/difference";

describe("the difference of two images", () => {
  it("counts the pixels that differ and marks them", () => {
    const a = new Uint8ClampedArray([10, 10, 10, 255, 0, 0, 0, 255]);
    const b = new Uint8ClampedArray([10, 10, 10, 255, 0, 40, 0, 255]);
    const found = difference(a, b);
    expect([found.changed, found.most]).toEqual([1, 40]);
    expect([...found.data.slice(4, 6)]).toEqual([148, 30]);
    expect(difference(a, a).changed).toBe(0);
  });
});
