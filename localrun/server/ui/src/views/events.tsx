import { useEffect, useState } from "preact/hooks";
import { ApiError, get } from "../api/client";
import { hub } from "../api/hub";
import { useDebounced, useHub } from "../api/hooks";
import type { JournalLine } from "../api/types";
import { ErrorNotice, Skeleton } from "../components/notice";
import { VirtualList } from "../components/virtual-list";
import { shortId } from "../model/format";
import { setQuery, taskHref } from "../router";

interface JournalPage {
  lines: JournalLine[];
  next: string | number | null;
}

const KEPT = 20_000; // lines
const ROW = 28;

/** The journal of the server, newest first, live. */
export function EventsPage({ query }: { query: URLSearchParams }) {
  const [type, setType] = useState(query.get("type") ?? "");
  const [task, setTask] = useState(query.get("task") ?? "");
  const filter = useDebounced(`type=${encodeURIComponent(type)}&task=${encodeURIComponent(task)}`, 300);
  const journal = useJournal(filter, type, task);
  const [open, setOpen] = useState<JournalLine | null>(null);
  useEffect(() => {
    document.title = "Events - localrun";
  }, []);
  useEffect(() => {
    setQuery("type", type);
    setQuery("task", task);
  }, [filter]);
  return (
    <>
      <div class="view-head">
        <h1>Events</h1>
        <input value={type} placeholder="Type, e.g. task_created" aria-label="Only events of this type" onInput={(event) => setType(event.currentTarget.value.trim())} />
        <input value={task} placeholder="Task id" aria-label="Only events of this task" onInput={(event) => setTask(event.currentTarget.value.trim())} />
        <button type="button" aria-pressed={journal.paused} onClick={journal.toggle}>
          {journal.paused ? `Paused${journal.held ? ` (${journal.held} new)` : ""}` : "Pause"}
        </button>
      </div>
      {journal.error && <ErrorNotice error={journal.error} retry={journal.reload} />}
      {!journal.ready && !journal.error && <Skeleton rows={10} height={20} />}
      {journal.ready && journal.lines.length === 0 && <p class="empty">No events{type || task ? " match" : " yet"}.</p>}
      {journal.lines.length > 0 && (
        <div class="grid journal" role="table" aria-label="Events" aria-rowcount={journal.lines.length}>
          <div class="entry head" role="row">
            {["Time", "Type", "Action", "Data"].map((title) => (
              <span key={title} role="columnheader">
                {title}
              </span>
            ))}
          </div>
          <VirtualList
            count={journal.lines.length}
            rowHeight={ROW}
            label="Events"
            role="rowgroup"
            onRange={(_, last) => {
              if (last >= journal.lines.length - 20) journal.more();
            }}
            row={(at) => {
              const line = journal.lines[at];
              return line ? <Entry key={journal.lines.length - at} line={line} isOpen={line === open} onOpen={setOpen} /> : null;
            }}
          />
        </div>
      )}
      {open && (
        <section class="card" aria-label="Event">
          <header>
            <h2>{open.event_type}</h2>
            {taskOf(open) && <a href={taskHref(taskOf(open))}>Open task {shortId(taskOf(open))}</a>}
            <button type="button" class="quiet push" onClick={() => setOpen(null)}>
              Close
            </button>
          </header>
          <div class="body">
            <pre tabIndex={0} aria-label="Event as JSON">
              {JSON.stringify(open, null, 2)}
            </pre>
          </div>
        </section>
      )}
    </>
  );
}

function Entry({ line, isOpen, onOpen }: { line: JournalLine; isOpen: boolean; onOpen: (line: JournalLine) => void }) {
  const data = JSON.stringify(line.data ?? {});
  return (
    <div class={`entry item${isOpen ? " current" : ""}`} role="row" onClick={() => onOpen(line)}>
      <span role="cell" class="muted mono" title={line.timestamp}>
        {localTime(line.timestamp)}
      </span>
      <span role="cell">
        <button type="button" class="plain" onClick={() => onOpen(line)}>
          {line.event_type}
        </button>
      </span>
      <span role="cell" class="muted" title={line.action ?? ""}>
        {line.action}
      </span>
      <span role="cell" class="mono" title={data.slice(0, 500)}>
        {data === "{}" ? "" : data.slice(0, 400)}
      </span>
    </div>
  );
}

function useJournal(filter: string, type: string, task: string) {
  const [lines, setLines] = useState<JournalLine[]>([]);
  const [waiting, setWaiting] = useState<JournalLine[]>([]);
  const [next, setNext] = useState<string | number | null>(null);
  const [ready, setReady] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [paused, setPaused] = useState(false);
  const [busy, setBusy] = useState(false);
  const [turn, setTurn] = useState(0);
  const path = `/journal?limit=200&${filter.replace(/(^|&)\w+=(?=&|$)/g, "").replace(/^&/, "")}`.replace(/&$/, "");
  const load = async (before: string | number | null, old: JournalLine[], signal?: AbortSignal): Promise<void> => {
    setBusy(true);
    try {
      const page = await get<JournalPage>(before === null ? path : `${path}&before=${encodeURIComponent(before)}`, signal);
      setLines([...old, ...page.lines]);
      setNext(page.next);
      setError(null);
      setReady(true);
    } catch (problem) {
      if (!signal?.aborted) setError(ApiError.of(problem));
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    setWaiting([]);
    void load(null, [], abort.signal);
    return () => abort.abort();
  }, [path, turn]);
  useEffect(() => hub.wantJournal(), []);
  useHub((event) => {
    if (event.type === "reset") setTurn((old) => old + 1);
    if (event.type !== "journal" || !matches(event.line, type, task)) return;
    if (paused) setWaiting((old) => [event.line, ...old].slice(0, KEPT));
    else setLines((old) => [event.line, ...old].slice(0, KEPT));
  });
  return {
    lines,
    error,
    ready,
    paused,
    held: waiting.length,
    reload: () => setTurn((old) => old + 1),
    more: () => {
      if (!busy && next !== null && lines.length < KEPT) void load(next, lines);
    },
    toggle: () => {
      setPaused(!paused);
      if (paused) {
        setLines((old) => [...waiting, ...old].slice(0, KEPT));
        setWaiting([]);
      }
    },
  };
}

function matches(line: JournalLine, type: string, task: string): boolean {
  return (!type || line.event_type === type) && (!task || taskOf(line).startsWith(task));
}

function taskOf(line: JournalLine): string {
  const found = line.data?.task_id ?? line.metadata?.task_id;
  return typeof found === "string" ? found : "";
}

function localTime(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = date.toDateString() === new Date().toDateString() ? "" : `${date.getMonth() + 1}-${two(date.getDate())} `;
  return `${day}${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
