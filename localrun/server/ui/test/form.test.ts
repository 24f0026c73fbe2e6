import { describe, expect, it } from "vitest";
import type { FormParameter, ParameterType } from "../src/api/types";
import { checkBody, emptyEntry, entryOf, NO_OPTIONS, optionsFrom, problemsOf, uploadsOf, valueOf, type Entry } from "../src/form/model";

function parameter(name: string, type: ParameterType): FormParameter {
  return { name, display_name: name, description: "", type, optional: false, has_default: false, constraint: "", kind: "scalar", matching: [], derived_from: null };
}

const text = (value: string): Entry => ({ ...emptyEntry(), text: value });
const file = (name: string): Entry => ({ ...emptyEntry(), file: { from: "browser", file: new File(["x"], name) } });

describe("the run form", () => {
  it("sends numbers as numbers and everything else as it was typed, for the server to judge", () => {
    const integer = { id: "integer" };
    expect(valueOf(integer, text("42"))).toBe(42);
    expect(valueOf(integer, text("4x"))).toBe("4x");
    expect(valueOf(integer, text("0x10"))).toBe("0x10");
    expect(valueOf(integer, text("12345678901234567890"))).toBe("12345678901234567890");
    expect(valueOf({ id: "number" }, text("-1.5e3"))).toBe(-1500);
    expect(valueOf({ id: "number" }, text("NaN"))).toBe("NaN");
    expect(valueOf({ id: "boolean" }, text("true"))).toBe(true);
    expect(valueOf({ id: "string" }, text("42"))).toBe("42");
    expect(valueOf({ id: "geometry" }, text('{"type": "Point", "coordinates": [1, 2]}'))).toEqual({ type: "Point", coordinates: [1, 2] });
  });

  it("leaves out what is empty", () => {
    expect(valueOf({ id: "integer" }, text(""))).toBeUndefined();
    expect(valueOf({ id: "array", subtype: "integer" }, emptyEntry())).toBeUndefined();
    expect(valueOf({ id: "array", subtype: "integer" }, text("[]"))).toEqual([]);
  });

  it("builds arrays of arrays", () => {
    const type = { id: "array", subtype: { id: "array", subtype: "boolean" } };
    const entry = entryOf(type, [[true, false], []]);
    expect(valueOf(type, entry)).toEqual([[true, false], []]);
  });

  it("sends files later, by name and by the index of an array", () => {
    expect(uploadsOf("image", { id: "image" }, file("a.png"))[0]?.path).toBe("image");
    const array = { ...emptyEntry(), items: [file("a.png"), file("b.png")] };
    expect(uploadsOf("images", { id: "array", subtype: { id: "image" } }, array).map((one) => one.path)).toEqual(["images/0?of=2", "images/1?of=2"]);
    const body = checkBody([parameter("image", { id: "image" }), parameter("n", { id: "integer" })], { image: file("a.png"), n: text("3") }, NO_OPTIONS);
    expect(body).toEqual({ inputs: { n: 3 }, uploads: ["image"] });
  });

  it("sends only options that were entered, and reads them from an earlier task", () => {
    const options = { ...NO_OPTIONS, cpus: "0.5", memory: "2Gi", timeout: "10m", network: true, replicas: "3", agree: "2" };
    const body = checkBody([], {}, options);
    expect(body).toEqual({ inputs: {}, uploads: [], resources: { cpus: 0.5, memory: "2Gi" }, timeout: "10m", network: true, replicas: 3, agree: 2 });
    expect(optionsFrom(body)).toEqual(options);
  });

  it("puts problems at the field that they are about", () => {
    const problems = ["inputs.images", "inputs.images[2]", "inputs.images.1", "inputs.image", "timeout"].map((path) => ({ path, message: "" }));
    expect(problemsOf(problems, "inputs.images").map((one) => one.path)).toEqual(["inputs.images", "inputs.images[2]", "inputs.images.1"]);
  });

  it("shows the values of an earlier task", () => {
    expect(entryOf({ id: "image" }, "@samples/cells.png").file).toEqual({ from: "server", path: "samples/cells.png" });
    expect(entryOf({ id: "integer" }, 7).text).toBe("7");
    expect(entryOf({ id: "geometry" }, { type: "Point" }).text).toBe('{"type":"Point"}');
  });
});
