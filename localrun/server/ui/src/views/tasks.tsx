import { useEffect, useReducer, useRef, useState } from "preact/hooks";
import { ApiError, get, post, send } from "../api/client";
import { hub } from "../api/hub";
import { useDebounced, useHub, useNow, useThrottled } from "../api/hooks";
import type { Page, Row } from "../api/types";
import { announce } from "../components/live-region";
import { ErrorNotice, Skeleton } from "../components/notice";
import { VirtualList, type ListHandle } from "../components/virtual-list";
import { useKeys } from "../keys";
import { plural } from "../model/format";
import { EMPTY, missingPages, PAGE, indexOf, reduce, type Action } from "../model/task-list";
import { navigate, setQuery, taskHref } from "../router";
import { NoTasks } from "./no-tasks";
import { Chips, SearchField } from "./task-filter";
import { Selection } from "./task-selection";
import { HeadRow, TaskRow } from "./task-row";

const NARROW = "(max-width: 480px)";

export function TasksView({ query }: { query: URLSearchParams }) {
  const [search, setSearch] = useState(query.get("q") ?? "");
  const [sort, setSort] = useState(query.get("sort") ?? "-created");
  const settled = useDebounced(search, 200);
  const list = useTaskList(settled, sort);
  const { state } = list;
  const [current, setCurrent] = useState<string | null>(null);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const field = useRef<HTMLInputElement>(null);
  const handle = useRef<ListHandle>(null);
  const now = useNow(5);

  useEffect(() => setQuery("q", settled), [settled]);
  useEffect(() => setQuery("sort", sort === "-created" ? "" : sort), [sort]);
  useEffect(() => {
    document.title = "Tasks - localrun";
  }, []);

  const select = (id: string): void =>
    setSelected((old) => {
      const next = new Set(old);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  const move = (by: number): void => {
    const at = current === null ? (by > 0 ? 0 : -1) : indexOf(state, current) + by;
    const next = state.rows.get(Math.max(0, Math.min(at, state.matching - 1)));
    if (!next) return;
    setCurrent(next.id);
    handle.current?.scrollTo(indexOf(state, next.id));
    announce(`${next.name || next.id}, ${next.state.toLowerCase()}`);
  };
  const compare = (): void => {
    const [a, b] = [...selected];
    if (a && b && selected.size === 2) navigate(`/ui/compare?a=${a}&b=${b}`);
    else announce("Select two tasks to compare");
  };
  useKeys({
    "/": () => field.current?.focus(),
    j: () => move(1),
    k: () => move(-1),
    Enter: () => current && navigate(taskHref(current)),
    x: () => current && select(current),
    c: compare,
    r: () => current && void rerun(current),
    Escape: () => (document.activeElement === field.current ? field.current?.blur() : setSelected(new Set())),
  });
  const isEmpty = state.loaded && state.total === 0 && !settled;
  return (
    <section class="tasks" aria-label="Tasks">
      <h1 class="hidden-text">Tasks</h1>
      <div class="tasks-bar">
        <SearchField value={search} onInput={setSearch} field={field} />
        <Chips search={search} counts={state.counts} onSearch={setSearch} />
        <span class="muted small push" role="status">
          {state.loaded && plural(state.matching, "task")}
        </span>
      </div>
      {list.error && <ErrorNotice error={list.error} retry={list.refresh} />}
      {isEmpty && <NoTasks />}
      {!isEmpty && (
        <div class="grid" role="table" aria-label="Tasks" aria-rowcount={state.matching + 1} onMouseEnter={list.hold} onMouseLeave={list.release}>
          <HeadRow sort={sort} onSort={setSort} />
          {!state.loaded && !list.error && <Skeleton rows={8} height={28} />}
          {state.loaded && state.matching === 0 && <p class="empty">No task matches the search.</p>}
          {state.fresh > 0 && (
            <button type="button" class="fresh" onClick={list.refresh}>
              Show {plural(state.fresh, "new task")}
            </button>
          )}
          {state.matching > 0 && (
            <VirtualList
              count={state.matching}
              rowHeight={matchMedia(NARROW).matches ? 40 : 36}
              label="Tasks"
              role="rowgroup"
              handle={handle}
              onRange={list.show}
              row={(at) => {
                const row = state.rows.get(at);
                return (
                  <TaskRow
                    key={row?.id ?? at}
                    index={at}
                    row={row}
                    now={now}
                    isCurrent={row !== undefined && row.id === current}
                    isSelected={row !== undefined && selected.has(row.id)}
                    onSelect={select}
                    onCurrent={setCurrent}
                  />
                );
              }}
            />
          )}
        </div>
      )}
      {selected.size > 0 && (
        <Selection
          ids={[...selected]}
          rows={[...state.rows.values()].filter((row) => selected.has(row.id))}
          onCompare={compare}
          onClear={() => setSelected(new Set())}
          onDone={list.refresh}
        />
      )}
    </section>
  );
}

/** The rows of a search: loaded by pages as they become visible, and kept up to date by events. */
function useTaskList(search: string, sort: string) {
  const [state, dispatch] = useReducer(reduce, EMPTY);
  const [error, setError] = useState<ApiError | null>(null);
  const held = useRef(false);
  const stale = useRef(false);
  const range = useRef<[number, number]>([0, PAGE]);
  const loading = useRef(new Set<number>());
  const generation = useRef(0);
  const requests = useRef(0);
  const meanwhile = useRef<Action[]>([]);
  // what happens while a page of the list is on its way may be newer than the page
  const apply = (action: Action): void => {
    if (requests.current) meanwhile.current.push(action.type === "row" ? { ...action, listed: false } : action);
    dispatch(action);
  };

  const load = async (page: number, reset: boolean): Promise<void> => {
    if (!reset && loading.current.has(page)) return;
    const own = reset ? (generation.current += 1) : generation.current;
    loading.current.add(page);
    if (requests.current === 0) meanwhile.current = [];
    requests.current += 1;
    const parameters = new URLSearchParams({ sort, limit: String(PAGE), offset: String(page * PAGE) });
    if (search) parameters.set("q", search);
    if (!reset && state.anchor && sort === "-created") parameters.set("from", state.anchor);
    try {
      const found = await get<Page>(`/tasks?${parameters}`);
      if (own !== generation.current) return;
      dispatch({ type: "page", page: found, reset });
      meanwhile.current.forEach(dispatch);
      hub.startAfter(found.event_id);
      setError(null);
    } catch (problem) {
      if (own === generation.current) setError(ApiError.of(problem));
    } finally {
      requests.current -= 1;
      loading.current.delete(page);
    }
  };
  const refresh = (): void => {
    stale.current = false;
    void load(Math.floor(range.current[0] / PAGE), true);
  };
  const refreshSoon = useThrottled(() => {
    // rows do not move under the pointer, or while the reader is further down
    if (held.current || range.current[0] > 0) stale.current = true;
    else refresh();
  }, 1000);

  useEffect(() => {
    range.current = [0, PAGE];
    void load(0, true);
  }, [search, sort]);
  useHub((event) => {
    if (event.type === "reset") return refresh();
    if (event.type !== "task") return;
    const { kind, task, task_id, data } = event.event;
    if (kind === "removed") apply({ type: "removed", id: task_id });
    else if (kind === "usage" && typeof data?.memory === "number") {
      apply({ type: "usage", id: task_id, memory: data.memory, peak: numberOf(data.memory_peak) });
    } else if (task) {
      const isNew = indexOf(state, task.id) < 0 && kind === "state" && data?.state === "CREATED" && !task.replica_of;
      apply({ type: "row", row: task, listed: isNew });
      if (kind === "state") refreshSoon();
    }
  });
  const show = (first: number, last: number): void => {
    range.current = [first, last];
    for (const page of missingPages(state, first, last)) void load(page, false);
  };
  return {
    state,
    error,
    refresh,
    show,
    hold: () => {
      held.current = true;
    },
    release: () => {
      held.current = false;
      if (stale.current && range.current[0] === 0) refreshSoon();
    },
  };
}

async function rerun(id: string): Promise<void> {
  try {
    const { task_id } = await post<{ task_id: string }>(`/task/${id}/rerun`);
    navigate(taskHref(task_id));
  } catch (error) {
    announce(ApiError.of(error).message);
  }
}

export async function removeTask(row: Row): Promise<void> {
  await send(`/task/${row.id}`, { method: "DELETE" });
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
