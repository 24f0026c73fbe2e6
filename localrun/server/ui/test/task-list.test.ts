import { describe, expect, it } from "vitest";
import type { Page, Row, State } from "../src/api/types";
import { EMPTY, indexOf, missingPages, PAGE, reduce, type TaskList } from "../src/model/task-list";

function row(id: string, state: State = "RUNNING"): Row {
  return {
    id,
    name: "Count cells",
    bundle: "samples/count-cells",
    kind: "container",
    state,
    final: state === "FINISHED" || state === "FAILED" || state === "KILLED",
    step: null,
    cause: null,
    message: "",
    assigned_by: "me",
    created: 1,
    started: 2,
    ended: null,
    seconds: null,
    cpus: 1,
    memory_limit: 1024,
    memory: null,
    memory_peak: null,
    exit_code: null,
    replica_of: null,
    replica: null,
    replicas: 0,
    warnings: 0,
    problems: 0,
    values: [],
    image: null,
  };
}

function page(rows: Row[], offset = 0, matching = rows.length): Page {
  const counts: Page["counts"] = {};
  for (const one of rows) counts[one.state] = (counts[one.state] ?? 0) + 1;
  return { tasks: rows, counts, matching, total: matching, offset, event_id: "s-1", time: 10 };
}

function loaded(...rows: Row[]): TaskList {
  return reduce(EMPTY, { type: "page", page: page(rows), reset: true });
}

describe("the list of tasks", () => {
  it("keeps rows by their position over pages", () => {
    let list = reduce(EMPTY, { type: "page", page: page([row("a")], 0, 250), reset: true });
    list = reduce(list, { type: "page", page: page([row("z")], 200, 250), reset: false });
    expect([indexOf(list, "a"), indexOf(list, "z"), list.matching]).toEqual([0, 200, 250]);
    expect(list.anchor).toBe("a");
  });

  it("knows which pages are missing for what is shown", () => {
    const rows = Array.from({ length: PAGE }, (_, at) => row(String(at)));
    const list = reduce(EMPTY, { type: "page", page: page(rows, 0, 10_000), reset: true });
    expect(missingPages(list, 0, PAGE)).toEqual([]);
    expect(missingPages(list, PAGE - 5, PAGE + 5)).toEqual([1]);
    expect(missingPages(list, 5 * PAGE, 6 * PAGE + 1)).toEqual([5, 6]);
    expect(missingPages(list, 9_990, 12_000)).toEqual([99]);
  });

  it("updates a row in place, and the counts with it", () => {
    const list = reduce(loaded(row("a"), row("b")), { type: "row", row: row("b", "FAILED"), listed: false });
    expect(list.rows.get(1)?.state).toBe("FAILED");
    expect(list.counts).toMatchObject({ RUNNING: 1, FAILED: 1 });
    expect(indexOf(list, "a")).toBe(0);
  });

  it("counts new tasks without moving the rows", () => {
    const list = reduce(loaded(row("a")), { type: "row", row: row("new", "CREATED"), listed: true });
    expect([list.fresh, list.matching, indexOf(list, "a"), indexOf(list, "new")]).toEqual([1, 1, 0, -1]);
    expect(reduce(list, { type: "page", page: page([row("new"), row("a")]), reset: true }).fresh).toBe(0);
  });

  it("ignores events of tasks that are not in the list", () => {
    const list = loaded(row("a"));
    expect(reduce(list, { type: "row", row: row("x", "FAILED"), listed: false })).toBe(list);
    expect(reduce(list, { type: "usage", id: "x", memory: 5, peak: null })).toBe(list);
    expect(reduce(list, { type: "removed", id: "x" })).toBe(list);
  });

  it("shows the memory of a running task, and its highest value", () => {
    let list = reduce(loaded(row("a")), { type: "usage", id: "a", memory: 700, peak: 800 });
    list = reduce(list, { type: "usage", id: "a", memory: 300, peak: null });
    expect(list.rows.get(0)).toMatchObject({ memory: 300, memory_peak: 800 });
  });

  it("closes the gap of a removed task", () => {
    const list = reduce(loaded(row("a"), row("b", "FAILED"), row("c")), { type: "removed", id: "b" });
    expect([indexOf(list, "c"), list.matching, list.counts.FAILED]).toEqual([1, 2, 0]);
  });
});
