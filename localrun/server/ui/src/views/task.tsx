import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, post } from "../api/client";
import { hub } from "../api/hub";
import { useGet, useHub, useNow, useThrottled } from "../api/hooks";
import { isFinal, type Sample, type TaskView } from "../api/types";
import { announce } from "../components/live-region";
import { ErrorNotice, Skeleton } from "../components/notice";
import { FilesPanel } from "../files/files-panel";
import { useKeys } from "../keys";
import { LogPanel } from "../log/log-panel";
import { byteAt, mergeSamples } from "../timeline/series";
import { TimelinePanel } from "../timeline/timeline-panel";
import { navigate, taskHref } from "../router";
import { TaskEvents } from "./task-events";
import { TaskHead } from "./task-head";
import { TaskReplicas } from "./task-replicas";

interface Props {
  id: string;
  query: URLSearchParams;
  hash: string;
}

export function TaskPage({ id, query, hash }: Props) {
  const { data: view, error, reload } = useGet<TaskView>(`/task/${encodeURIComponent(id)}/view`);
  const active = view !== null && !isFinal(view.row.state);
  const samples = useSamples(id, view, active);
  const now = useServerNow(view, active);
  const [cursor, setCursor] = useState<number | null>(null);
  const reloadSoon = useThrottled(reload, 700);
  useHub((event) => {
    if (event.type === "reset") reloadSoon();
    if (event.type !== "task" || event.event.kind === "usage") return;
    const other = event.event.task?.replica_of === id;
    if (event.event.task_id === id || other) reloadSoon();
  });
  useEffect(() => {
    if (view) hub.startAfter(view.event_id);
  }, [view?.event_id]);
  useEffect(() => {
    if (error && !view) hub.startAfter("");
  }, [error]);
  const state = view?.row.state;
  const before = useRef(state);
  useEffect(() => {
    if (!view || !state) return;
    document.title = `${view.row.name || view.row.id.slice(0, 8)} ${state.toLowerCase()} - localrun`;
    if (before.current && before.current !== state) {
      announce(`Task ${state.toLowerCase()}${view.row.cause ? `, ${view.row.cause}` : ""}`);
    }
    before.current = state;
  }, [state]);
  const [failure, setFailure] = useState("");
  const act = async (action: "kill" | "rerun"): Promise<void> => {
    setFailure("");
    try {
      const found = await post<{ task_id?: string }>(`/task/${encodeURIComponent(id)}/${action}`);
      if (action === "rerun" && found.task_id) navigate(taskHref(found.task_id));
      else reload();
    } catch (problem) {
      setFailure(ApiError.of(problem).message);
    }
  };
  useKeys({ r: () => view?.actions.rerun && void act("rerun") });

  if (error && !view) return <ErrorNotice error={error} retry={reload} />;
  if (!view) return <Skeleton rows={8} height={28} />;
  const show = query.get("show");
  return (
    <>
      <TaskHead view={view} now={now} onKill={() => void act("kill")} onRerun={() => void act("rerun")} failure={failure} />
      <div class="columns">
        <TimelinePanel view={view} samples={samples} now={now} cursor={cursor} onCursor={setCursor} />
        <FilesPanel view={view} show={show} />
        {view.replicas && <TaskReplicas replicas={view.replicas} id={id} />}
        {view.row.kind !== "replicated" && (
          <LogPanel
          id={id}
          isActive={active}
          hash={hash}
          cursorByte={cursor === null ? null : byteAt(view.timeline.log, cursor)}
          onTime={setCursor}
          />
        )}
        <TaskEvents events={view.events} warnings={view.warnings} />
      </div>
    </>
  );
}

/** The samples of the view, and those that are taken while it is open. */
function useSamples(id: string, view: TaskView | null, active: boolean): readonly Sample[] {
  const [added, setAdded] = useState<Sample[]>([]);
  const initial = view?.usage.samples ?? [];
  const samples = mergeSamples(initial, added);
  const last = samples.at(-1)?.time;
  const latest = useRef(last);
  latest.current = last;
  const load = useThrottled(() => {
    const since = latest.current === undefined ? "" : `?since=${latest.current}`;
    get<{ samples: Sample[] }>(`/task/${encodeURIComponent(id)}/usage${since}`).then(
      (found) => found.samples.length && setAdded((old) => mergeSamples(old, found.samples)),
      () => undefined,
    );
  }, 900);
  useHub((event) => {
    if (active && event.type === "task" && event.event.kind === "usage" && event.event.task_id === id) load();
  });
  return samples;
}

/** The time of the server, so that a browser with another clock shows the right durations. */
function useServerNow(view: TaskView | null, active: boolean): number {
  const offset = useRef(0);
  const seen = useRef<TaskView | null>(null);
  if (view && seen.current !== view) {
    seen.current = view;
    offset.current = view.timeline.now - Date.now() / 1000;
  }
  return useNow(0.5, active) + offset.current;
}
