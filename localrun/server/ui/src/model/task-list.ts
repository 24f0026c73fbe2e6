import type { Counts, Page, Row } from "../api/types";

export const PAGE = 100;

/**
 * The rows of the list that were loaded, by their position.
 *
 * `anchor` is the first task of the list as it is shown. Tasks that are newer are counted in `fresh` until the list
 * is loaded again, so that the rows do not move under the pointer.
 */
export interface TaskList {
  rows: ReadonlyMap<number, Row>;
  counts: Counts;
  matching: number;
  total: number;
  anchor: string | null;
  fresh: number;
  loaded: boolean;
}

export type Action =
  | { type: "page"; page: Page; reset: boolean }
  | { type: "row"; row: Row; listed: boolean }
  | { type: "usage"; id: string; memory: number; peak: number | null }
  | { type: "removed"; id: string }
  | { type: "cleared" };

export const EMPTY: TaskList = {
  rows: new Map(),
  counts: {},
  matching: 0,
  total: 0,
  anchor: null,
  fresh: 0,
  loaded: false,
};

export function reduce(list: TaskList, action: Action): TaskList {
  switch (action.type) {
    case "page":
      return withPage(list, action.page, action.reset);
    case "row":
      return withRow(list, action.row, action.listed);
    case "usage":
      return changed(list, action.id, (row) => ({
        ...row,
        memory: action.memory,
        memory_peak: Math.max(action.peak ?? 0, row.memory_peak ?? 0, action.memory),
      }));
    case "removed":
      return without(list, action.id);
    case "cleared":
      return EMPTY;
  }
}

/** The pages that are needed to show rows `first` to `last` and are not loaded completely. */
export function missingPages(list: TaskList, first: number, last: number): number[] {
  const pages = new Set<number>();
  for (let at = Math.max(0, first); at < Math.min(last, list.matching); at += 1) {
    if (!list.rows.has(at)) pages.add(Math.floor(at / PAGE));
  }
  return [...pages];
}

export function indexOf(list: TaskList, id: string): number {
  for (const [at, row] of list.rows) if (row.id === id) return at;
  return -1;
}

function withPage(list: TaskList, page: Page, reset: boolean): TaskList {
  const rows = new Map(reset ? [] : list.rows);
  page.tasks.forEach((row, at) => rows.set(page.offset + at, row));
  const anchor = reset ? (page.offset === 0 ? (page.tasks[0]?.id ?? null) : list.anchor) : list.anchor;
  return {
    rows,
    counts: page.counts,
    matching: page.matching,
    total: page.total,
    anchor,
    fresh: reset ? 0 : list.fresh,
    loaded: true,
  };
}

/** Replace a row; a task that is not in the list and would be one of it counts as fresh. */
function withRow(list: TaskList, row: Row, listed: boolean): TaskList {
  const at = indexOf(list, row.id);
  if (at < 0) return listed ? { ...list, fresh: list.fresh + 1 } : list;
  const old = list.rows.get(at);
  const rows = new Map(list.rows);
  rows.set(at, row);
  return { ...list, rows, counts: moved(list.counts, old, row) };
}

function moved(counts: Counts, old: Row | undefined, row: Row): Counts {
  if (!old || old.state === row.state) return counts;
  return {
    ...counts,
    [old.state]: Math.max(0, (counts[old.state] ?? 0) - 1),
    [row.state]: (counts[row.state] ?? 0) + 1,
  };
}

function changed(list: TaskList, id: string, change: (row: Row) => Row): TaskList {
  const at = indexOf(list, id);
  const row = list.rows.get(at);
  if (!row) return list;
  return { ...list, rows: new Map(list.rows).set(at, change(row)) };
}

function without(list: TaskList, id: string): TaskList {
  const gone = indexOf(list, id);
  if (gone < 0) return list;
  const rows = new Map<number, Row>();
  for (const [at, row] of list.rows) if (at !== gone) rows.set(at > gone ? at - 1 : at, row);
  const removed = list.rows.get(gone);
  const counts = removed ? { ...list.counts, [removed.state]: Math.max(0, (list.counts[removed.state] ?? 0) - 1) } : list.counts;
  const anchor = list.anchor === id ? (rows.get(0)?.id ?? null) : list.anchor;
  return { ...list, rows, counts, anchor, matching: Math.max(0, list.matching - 1), total: Math.max(0, list.total - 1) };
}
