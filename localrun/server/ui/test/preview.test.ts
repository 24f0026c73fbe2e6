import { describe, expect, it } from "vitest";
import { textOf } from "../src/files/text-preview";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the preview of a file", () => {
  it("indents JSON", () => {
    expect(textOf(bytes('{"a":1}'), 7)).toEqual({ kind: "text", text: '{\n  "a": 1\n}', rest: 0 });
  });

  it("shows markup as text", () => {
    expect(textOf(bytes("<svg onload=alert(1)>"), 21)).toMatchObject({ kind: "text", text: "<svg onload=alert(1)>" });
  });

  it("does not show binary data", () => {
    expect(textOf(new Uint8Array([1, 0, 2]), 3).kind).toBe("binary");
    expect(textOf(new Uint8Array([0xff, 0xfe, 0x41]), 3).kind).toBe("binary");
  });

  it("says how much is not shown, also if a character is cut off", () => {
    const cut = bytes("aé").subarray(0, 2);
    expect(textOf(cut, 1000)).toEqual({ kind: "text", text: "a", rest: 998 });
  });
});
