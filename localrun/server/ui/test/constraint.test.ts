import { describe, expect, it } from "vitest";
import { constraintOf } from "../src/model/constraint";

describe("the limits of a type", () => {
  it.each([
    [{ id: "integer", geq: 1, leq: 255 }, "1 to 255"],
    [{ id: "integer", gt: 0 }, "more than 0"],
    [{ id: "number", lt: 1.5, nan_allowed: true }, "less than 1.5, NaN allowed"],
    [{ id: "string", max_length: 1 }, "at most 1 character"],
    [{ id: "image", formats: ["png", "tiff"], max_width: 64, max_height: 32 }, "format png or tiff, at most 64 x 32 pixels"],
    [{ id: "file", max_file_size: 1024 }, "at most 1 KiB"],
    [{ id: "enumeration", values: ["a", "b"] }, "one of a, b"],
    [{ id: "array", subtype: { id: "integer", geq: 0 }, min_size: 1, max_size: 5 }, "1 to 5 items, each at least 0"],
    [{ id: "geometry" }, ""],
  ])("are written as text", (type, text) => expect(constraintOf(type)).toBe(text));
});
