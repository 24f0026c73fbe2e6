import type { BatchRow, BatchRows, Counts } from "../api/types";

export const PAGE = 100; // rows of a request

/** The rows of a batch that were loaded, by their place in the list. */
export interface Rows {
  rows: ReadonlyMap<number, BatchRow>;
  counts: Counts;
  matching: number;
  loaded: boolean;
}

export const NO_ROWS: Rows = { rows: new Map(), counts: {}, matching: 0, loaded: false };

/** Add pages that were loaded. With `reset`, other pages are dropped: their rows may have moved. */
export function withPages(old: Rows, pages: BatchRows[], reset: boolean): Rows {
  const last = pages.at(-1);
  if (!last) return old;
  const rows = new Map(reset ? [] : old.rows);
  for (const page of pages) page.rows.forEach((row, at) => rows.set(page.offset + at, row));
  for (const at of [...rows.keys()]) if (at >= last.matching) rows.delete(at);
  return { rows, counts: last.counts, matching: last.matching, loaded: true };
}

/** The numbers of the pages that a range of rows needs. */
export function pagesOf(first: number, last: number): number[] {
  const found = [];
  for (let page = Math.floor(first / PAGE); page * PAGE < Math.max(last, first + 1); page += 1) found.push(page);
  return found;
}

/** The pages of a range that were not loaded yet. */
export function missing({ rows, matching }: Rows, first: number, last: number): number[] {
  const end = Math.min(last, matching);
  return pagesOf(first, end).filter((page) => {
    for (let at = Math.max(first, page * PAGE); at < Math.min(end, (page + 1) * PAGE); at += 1) if (!rows.has(at)) return true;
    return false;
  });
}
