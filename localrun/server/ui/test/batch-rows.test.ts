import { describe, expect, it } from "vitest";
import { decode } from "../src/api/hub";
import type { Batch, BatchRow, BatchRows } from "../src/api/types";
import { endedRows, failures, remaining } from "../src/components/batch-state";
import { missing, NO_ROWS, PAGE, pagesOf, withPages } from "../src/model/batch-rows";

function page(offset: number, numbers: number[], matching: number): BatchRows {
  const rows = numbers.map((row) => ({ row }) as BatchRow);
  return { rows, offset, matching, counts: { FINISHED: matching }, total: 1000, event_id: "", time: 0 };
}

describe("the rows of a batch", () => {
  it("are asked for by pages as they become visible", () => {
    expect(pagesOf(0, 30)).toEqual([0]);
    expect(pagesOf(PAGE - 5, PAGE + 5)).toEqual([0, 1]);
    expect(missing({ ...NO_ROWS, matching: 250 }, 90, 400)).toEqual([0, 1, 2]);
    const loaded = withPages(NO_ROWS, [page(0, Array.from({ length: PAGE }, (_, at) => at), 250)], true);
    expect(missing(loaded, 0, PAGE)).toEqual([]);
    expect(missing(loaded, 90, 110)).toEqual([1]);
  });

  it("are replaced when the list has changed, and those after its end are dropped", () => {
    const old = withPages(NO_ROWS, [page(0, [1, 2, 3], 3)], true);
    expect([...withPages(old, [page(0, [9], 1)], false).rows.values()].map((one) => one.row)).toEqual([9]);
    expect([...withPages(old, [page(PAGE, [7], 101)], true).rows.keys()]).toEqual([PAGE]);
    expect(withPages(old, [], true)).toBe(old);
  });
});

describe("a batch", () => {
  const batch = { state: "running", total: 100, counts: { FINISHED: 8, FAILED: 1, KILLED: 1 }, rate: 2 } as Batch;

  it("has ended and failed rows, and the time until its end", () => {
    expect([endedRows(batch), failures(batch), remaining(batch)]).toEqual([10, 2, 45]);
    expect(remaining({ ...batch, rate: null })).toBeNull();
    expect(remaining({ ...batch, state: "ended" })).toBeNull();
  });

  it("comes with an event", () => {
    const event = { id: "1", event: "batch", data: JSON.stringify({ kind: "batch", batch_id: "x", batch }) };
    expect(decode(event)).toEqual({ type: "batch", batch });
  });
});
