import { describe, expect, it } from "vitest";
import { decode } from "../src/api/hub";

describe("the events of all tasks", () => {
  it("tells tasks, the journal and resets apart", () => {
    expect(decode({ id: "1", event: "state", data: '{"kind": "state", "task_id": "a", "time": 1}' })).toMatchObject({ type: "task" });
    expect(decode({ id: "2", event: "journal", data: '{"event_type": "x"}' })).toMatchObject({ type: "journal" });
    expect(decode({ id: "3", event: "reset", data: "{}" })).toEqual({ type: "reset" });
    expect(decode({ id: "4", event: "hello", data: "{}" })).toBeNull();
  });

  it("ignores what it does not understand", () => {
    expect(decode({ id: "", event: "state", data: "not json" })).toBeNull();
    expect(decode({ id: "", event: "future", data: '{"x": 1}' })).toBeNull();
  });
});
