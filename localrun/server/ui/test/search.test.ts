import { describe, expect, it } from "vitest";
import { statesOf, toggleState } from "../src/model/search";

describe("the search of the list", () => {
  it("adds and removes states, and keeps the rest", () => {
    const one = toggleState("cells by:ray", "FAILED");
    expect(one).toBe("cells by:ray state:FAILED");
    const two = toggleState(one, "KILLED");
    expect(statesOf(two)).toEqual(["FAILED", "KILLED"]);
    expect(toggleState(toggleState(two, "FAILED"), "KILLED")).toBe("cells by:ray");
  });

  it("reads states in any case", () => {
    expect(statesOf("state:failed,Running x")).toEqual(["FAILED", "RUNNING"]);
    expect(toggleState("state:failed", "FAILED")).toBe("");
  });
});
