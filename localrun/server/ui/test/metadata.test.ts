import { describe, expect, it } from "vitest";
import { search } from "../src/components/metadata";

describe("the search for a value of the metadata", () => {
  it("names the key and the value, whatever they contain", () => {
    expect(search("cohort", "B, 2")).toBe('metadata:"cohort=B, 2"');
    expect(search("runs", 3)).toBe('metadata:"runs=3"');
  });

  it("names only the key if the value has quotes", () => {
    expect(search("runs", { a: 1 })).toBe('metadata:"runs"');
  });
});
