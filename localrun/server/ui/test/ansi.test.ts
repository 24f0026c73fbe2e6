import { describe, expect, it } from "vitest";
import { parseAnsi, stripAnsi } from "../src/model/ansi";

const ESC = "\x1b";

describe("the colours of a log", () => {
  it("splits a line by its colours", () => {
    expect(parseAnsi(`a${ESC}[1;31mb${ESC}[0mc`)).toEqual([
      { text: "a", classes: "" },
      { text: "b", classes: "a-bold a-31" },
      { text: "c", classes: "" },
    ]);
  });

  it("takes the nearest of 16 colours for others", () => {
    expect(parseAnsi(`${ESC}[38;5;196mx`)[0]?.classes).toBe("a-31");
    expect(parseAnsi(`${ESC}[38;2;10;200;20mx`)[0]?.classes).toBe("a-32");
    expect(parseAnsi(`${ESC}[48;5;4mx`)[0]?.classes).toBe("a-b34");
  });

  it.each([
    ["a title", `${ESC}]0;evil${ESC}\\x`],
    ["a link", `${ESC}]8;;javascript:alert(1)\x07x${ESC}]8;;\x07`],
    ["a cleared screen", `${ESC}[2J${ESC}[Hx`],
    ["a device string", `${ESC}P1;2qevil${ESC}\\x`],
    ["a private mode", `${ESC}[?1049hx`],
    ["another character set", `${ESC}(0x`],
  ])("removes %s", (_, line) => {
    expect(parseAnsi(line).map((one) => one.text).join("")).toBe("x");
    expect(stripAnsi(line)).toBe("x");
  });

  it("shows other control characters, and those that change the direction of text, as symbols", () => {
    expect(stripAnsi("a\x07b\u202ec\x9bd")).toBe("a\u2407b\ufffdc\ufffdd");
  });

  it("starts a line again at a carriage return", () => {
    expect(stripAnsi("10 %\r50 %\r100 %\r")).toBe("100 %");
  });

  it("leaves markup as text", () => {
    expect(parseAnsi("<script>alert(1)</script>")).toEqual([{ text: "<script>alert(1)</script>", classes: "" }]);
  });

  it("survives long hostile lines", () => {
    expect(stripAnsi(`${ESC}]`.repeat(50_000))).toBe("");
    expect(parseAnsi(`${ESC}[${"1;".repeat(50_000)}mx`).at(-1)).toEqual({ text: "x", classes: "" });
  });
});
