import { describe, expect, it } from "vitest";
import { ago, bytes, duration, number, plural } from "../src/model/format";

describe("numbers, sizes and times", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [512 * 1024 ** 2, "512 MiB"],
    [4 * 1024 ** 3, "4 GiB"],
  ])("writes %i bytes as %s", (size, text) => expect(bytes(size)).toBe(text));

  it.each([
    [0, "0.00 s"],
    [0.0004, "1 ms"],
    [0.004, "4 ms"],
    [0.42, "0.42 s"],
    [12.34, "12.3 s"],
    [59.99, "1 min 00 s"],
    [245, "4 min 05 s"],
    [7380, "2 h 03 min"],
    [273_600, "3 d 4 h"],
  ])("writes %f seconds as %s", (seconds, text) => expect(duration(seconds)).toBe(text));

  it("writes how long ago a time is, also by a clock that is ahead", () => {
    expect([ago(100, 101), ago(100, 130), ago(0, 7300), ago(200, 100)]).toEqual(["now", "30 s ago", "2 h ago", "now"]);
  });

  it("writes numbers with six digits at most", () => {
    expect([number(1234567), number(0.1 + 0.2), number(NaN), number(1e300)]).toEqual(["1,234,567", "0.3", "NaN", "1e+300"]);
  });

  it("counts nouns", () => {
    expect([plural(1, "task"), plural(1200, "task")]).toEqual(["1 task", "1,200 tasks"]);
  });
});
