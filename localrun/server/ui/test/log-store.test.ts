import { describe, expect, it } from "vitest";
import type { LogPage } from "../src/api/types";
import { BLOCK, LogStore } from "../src/log/store";

function page(first: number, count: number, lines: number, complete = false): LogPage {
  const entries = Array.from({ length: count }, (_, at) => ({ line: first + at, byte: (first + at - 1) * 10, stream: "stdout", text: `line ${first + at}` }));
  const end = first + count;
  return { size: lines * 10, lines, complete, start: { line: first, byte: (first - 1) * 10 }, end: { line: end, byte: (end - 1) * 10 }, entries };
}

describe("the lines of a log", () => {
  it("asks for what is missing, block by block", () => {
    const store = new LogStore();
    store.add(page(999_701, 300, 1_000_000));
    expect(store.missing(999_800, 1_000_001)).toEqual([]);
    expect(store.missing(999_600, 999_720)).toEqual([999_600]);
    expect(store.missing(1, 2 * BLOCK + 2)).toEqual([1, BLOCK + 1, 2 * BLOCK + 1]);
  });

  it("keeps a bounded number of lines", () => {
    const store = new LogStore();
    for (let block = 0; block < 500; block += 1) store.add(page(block * BLOCK + 1, BLOCK, 500 * BLOCK));
    expect(store.get(1)).toBeUndefined();
    expect(store.get(500 * BLOCK)?.text).toBe(`line ${500 * BLOCK}`);
    expect(store.lines).toBe(500 * BLOCK);
  });

  it("continues a stream after the last byte received", () => {
    const store = new LogStore();
    store.add(page(1, 5, 5));
    store.add(page(6, 2, 7));
    expect([store.end, store.lines, store.size]).toEqual([70, 7, 70]);
  });

  it("finds the line of a byte among those received", () => {
    const store = new LogStore();
    store.add(page(1, 10, 10));
    expect([store.lineAt(0), store.lineAt(35), store.lineAt(1000)]).toEqual([1, 4, 10]);
    expect(new LogStore().lineAt(5)).toBeUndefined();
  });
});
