import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, download, get, post } from "../api/client";
import { hub } from "../api/hub";
import { useDebounced, useGet, useHub, useInterval, useNow, useThrottled } from "../api/hooks";
import { STATES, type Batch, type BatchRows, type State } from "../api/types";
import { BatchBadge, BatchBar, endedRows, failures, isElsewhere, remaining } from "../components/batch-state";
import { Icon, StateBadge } from "../components/icon";
import { announce } from "../components/live-region";
import { ErrorNotice, Skeleton } from "../components/notice";
import { Ago } from "../components/time";
import { VirtualList, type ListHandle } from "../components/virtual-list";
import { useKeys } from "../keys";
import { missing, NO_ROWS, PAGE, pagesOf, withPages, type Rows } from "../model/batch-rows";
import { duration, number, plural } from "../model/format";
import { setQuery } from "../router";
import { BatchLine, BatchLineHead } from "./batch-line";

const ALWAYS: readonly State[] = ["RUNNING", "FINISHED", "FAILED"];
const NARROW = "(max-width: 820px)";

interface Props {
  id: string;
  query: URLSearchParams;
}

/** One batch: how far it is, what failed, and its rows, live. */
export function BatchPage({ id, query }: Props) {
  const path = `/batch/${encodeURIComponent(id)}`;
  const { data, error, reload } = useGet<{ batch: Batch }>(path);
  const [live, setLive] = useState<Batch | null>(null);
  const batch = live ?? data?.batch ?? null;
  const [search, setSearch] = useState(query.get("q") ?? "");
  const [state, setState] = useState(query.get("state") ?? "");
  const [sort, setSort] = useState(query.get("sort") ?? "failed");
  const settled = useDebounced(search, 250);
  const list = useRows(path, settled, state, sort);
  const { rows } = list;
  const field = useRef<HTMLInputElement>(null);
  const handle = useRef<ListHandle>(null);
  const now = useNow(1, batch?.state === "running");
  const reloadSoon = useThrottled(() => {
    reload();
    list.refreshSoon();
  }, 1000);
  useInterval(reloadSoon, 4000, batch !== null && isElsewhere(batch));
  useEffect(() => setLive(null), [data]);
  useEffect(() => setQuery("q", settled), [settled]);
  useEffect(() => setQuery("state", state), [state]);
  useEffect(() => setQuery("sort", sort === "failed" ? "" : sort), [sort]);
  useEffect(() => {
    if (error && !data) hub.startAfter("");
  }, [error]);
  useHub((event) => {
    if (event.type === "reset") reloadSoon();
    else if (event.type === "task" && event.event.task?.batch?.id === id) reloadSoon();
    else if (event.type === "batch" && event.batch.batch_id === id) {
      setLive(event.batch);
      list.refreshSoon();
    }
  });
  const title = batch ? `${batch.name || id} ${batch.state}` : "Batch";
  const before = useRef(batch?.state);
  useEffect(() => {
    document.title = `${title} - localrun`;
    if (before.current && batch && before.current !== batch.state) announce(`Batch ${batch.state}`);
    before.current = batch?.state;
  }, [title]);
  useKeys({
    "/": () => field.current?.focus(),
    Escape: () => field.current?.blur(),
  });
  if (error && !batch) return <ErrorNotice error={error} retry={reload} />;
  if (!batch) return <Skeleton rows={8} height={28} />;
  const shown = STATES.filter((one) => ALWAYS.includes(one) || rows.counts[one] || one === state);
  return (
    <section class="tasks" aria-label="Batch">
      <BatchHead batch={batch} path={path} now={now} onDone={reloadSoon} />
      <div class="tasks-bar">
        <div class="search">
          <Icon name="search" />
          <input
            ref={field}
            type="search"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
            placeholder="Search inputs, outputs and reasons"
            aria-label="Search rows"
            spellcheck={false}
            autocomplete="off"
          />
        </div>
        <div class="chips" role="group" aria-label="Filter by state">
          {shown.map((one) => (
            <button type="button" key={one} aria-pressed={one === state} onClick={() => setState(one === state ? "" : one)}>
              <StateBadge state={one} />
              <span class="count">{(rows.counts[one] ?? 0).toLocaleString("en")}</span>
            </button>
          ))}
        </div>
        <label class="push">
          Order{" "}
          <select value={sort} onChange={(event) => setSort(event.currentTarget.value)}>
            <option value="failed">failed first</option>
            <option value="row">row</option>
            <option value="-ended">latest first</option>
          </select>
        </label>
        <span class="muted small" role="status">
          {rows.loaded && plural(rows.matching, "row")}
        </span>
      </div>
      {list.error && <ErrorNotice error={list.error} retry={list.refresh} />}
      <div class="grid" role="table" aria-label="Rows" aria-rowcount={rows.matching + 1} onMouseEnter={list.hold} onMouseLeave={list.release}>
        <BatchLineHead />
        {!rows.loaded && !list.error && <Skeleton rows={8} height={28} />}
        {rows.loaded && rows.matching === 0 && (
          <p class="empty">{settled || state ? "No row matches." : batch.state === "running" ? "No row has started yet." : "No row has run."}</p>
        )}
        {rows.matching > 0 && (
          <VirtualList
            count={rows.matching}
            rowHeight={matchMedia(NARROW).matches ? 56 : 36}
            label="Rows"
            role="rowgroup"
            class="batch-rows"
            handle={handle}
            onRange={list.show}
            row={(at) => <BatchLine key={rows.rows.get(at)?.row ?? `at-${at}`} index={at} row={rows.rows.get(at)} now={now} />}
          />
        )}
      </div>
    </section>
  );
}

interface HeadProps {
  batch: Batch;
  path: string;
  now: number;
  onDone: () => void;
}

function BatchHead({ batch, path, now, onDone }: HeadProps) {
  const [failure, setFailure] = useState("");
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const act = async (action: string, body: object = {}): Promise<void> => {
    setFailure("");
    setAsking(false);
    setBusy(true);
    try {
      await post(`${path}/${action}`, body);
    } catch (problem) {
      setFailure(ApiError.of(problem).message);
    }
    setBusy(false);
    onDone();
  };
  const left = remaining(batch);
  const failed = failures(batch);
  return (
    <header class="task-head">
      <div class="title">
        <h1>{batch.name || batch.bundle}</h1>
        <BatchBadge batch={batch} />
        <div class="row push actions">
          {batch.can_cancel && (
            asking ? (
              <>
                <span>Cancel this batch?</span>
                <button type="button" class="danger" onClick={() => void act("cancel")}>
                  Cancel it
                </button>
                <button type="button" onClick={() => setAsking(false)}>
                  Continue
                </button>
              </>
            ) : (
              <button type="button" class="danger" disabled={busy} onClick={() => setAsking(true)}>
                Cancel
              </button>
            )
          )}
          {batch.can_resume && (
            <button type="button" disabled={busy} onClick={() => void act("resume")}>
              Resume
            </button>
          )}
          {batch.can_rerun && failed > 0 && (
            <button type="button" disabled={busy} onClick={() => void act("resume", { rerun_failed: true })}>
              Run failed rows again
            </button>
          )}
          <button type="button" disabled={!endedRows(batch)} onClick={() => void download(`${path}/results?format=csv`, `${batch.batch_id}.csv`)}>
            <Icon name="download" />
            CSV
          </button>
          <button type="button" disabled={!endedRows(batch)} onClick={() => void download(`${path}/results`, `${batch.batch_id}.jsonl`)}>
            <Icon name="download" />
            JSON Lines
          </button>
        </div>
      </div>
      {failure && (
        <div class="notice error" role="alert">
          {failure}
        </div>
      )}
      {batch.error && batch.state !== "running" && (
        <div class="notice error">
          <strong>{batch.error}</strong>
        </div>
      )}
      {batch.note && batch.state === "running" && <div class="notice">{batch.note}</div>}
      <BatchBar batch={batch} />
      <div class="facts small">
        <span>
          <b>{endedRows(batch).toLocaleString("en")}</b> of <b>{plural(batch.total, "row")}</b> ended
        </span>
        {failed > 0 && (
          <span>
            <b class="cause">{failed.toLocaleString("en")}</b> did not finish
          </span>
        )}
        {Object.keys(batch.nodes).length > 0 && (
          <span>
            running on{" "}
            {Object.entries(batch.nodes)
              .map(([node, count]) => `${node}: ${count.toLocaleString("en")}`)
              .join(", ")}
          </span>
        )}
        {batch.rate !== null && batch.state === "running" && (
          <span>
            <b>{number(Number(batch.rate.toPrecision(2)))}</b> rows a second
          </span>
        )}
        {left !== null && (
          <span>
            about <b>{duration(Math.ceil(left)).replace(".0 s", " s")}</b> left
          </span>
        )}
        <span>
          created <b><Ago time={batch.created} now={now} /></b>
        </span>
        <span>
          id <b class="mono">{batch.batch_id}</b>
        </span>
        <span title={batch.bundle}>
          bundle <b>{batch.bundle.split("/").pop()}</b>
        </span>
        {batch.assigned_by && (
          <span>
            by <b>{batch.assigned_by}</b>
          </span>
        )}
      </div>
    </header>
  );
}

/** The rows of a search: loaded by pages as they become visible, and again when something has changed. */
function useRows(path: string, search: string, state: string, sort: string) {
  const [rows, setRows] = useState<Rows>(NO_ROWS);
  const [error, setError] = useState<ApiError | null>(null);
  const range = useRef<[number, number]>([0, PAGE]);
  const generation = useRef(0);
  const loading = useRef(new Set<number>());
  const held = useRef(false);
  const stale = useRef(false);

  const load = async (pages: number[], reset: boolean): Promise<void> => {
    const own = reset ? (generation.current += 1) : generation.current;
    if (reset) loading.current.clear();
    const wanted = pages.filter((page) => !loading.current.has(page));
    for (const page of wanted) loading.current.add(page);
    try {
      const found = await Promise.all(
        wanted.map((page) => {
          const parameters = new URLSearchParams({ sort, limit: String(PAGE), offset: String(page * PAGE) });
          if (search) parameters.set("q", search);
          if (state) parameters.set("state", state);
          return get<BatchRows>(`${path}/rows?${parameters}`);
        }),
      );
      if (own !== generation.current) return;
      setRows((old) => withPages(old, found, reset));
      setError(null);
      if (found[0]) hub.startAfter(found[0].event_id);
    } catch (problem) {
      if (own === generation.current) setError(ApiError.of(problem));
    } finally {
      if (own === generation.current) for (const page of wanted) loading.current.delete(page);
    }
  };
  const refresh = (): void => {
    stale.current = false;
    void load(pagesOf(...range.current), true);
  };
  const refreshSoon = useThrottled(() => {
    if (held.current) stale.current = true; // rows do not move under the pointer
    else refresh();
  }, 1000);
  useEffect(() => {
    range.current = [0, PAGE];
    void load([0], true);
  }, [search, state, sort]);
  return {
    rows,
    error,
    refresh,
    refreshSoon,
    show: (first: number, last: number): void => {
      range.current = [first, last];
      const pages = missing(rows, first, last);
      if (pages.length) void load(pages, false);
    },
    hold: (): void => {
      held.current = true;
    },
    release: (): void => {
      held.current = false;
      if (stale.current) refreshSoon();
    },
  };
}
