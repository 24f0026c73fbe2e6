import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./client";
import { hub, type HubEvent } from "./hub";

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  /** Load again. */
  reload: () => void;
}

/** Load a path, and again when it changes or `reload` is called. The last data stays until new data is there. */
export function useGet<T>(path: string | null): Loaded<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: ApiError | null }>({
    path: null,
    data: null,
    error: null,
  });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    get<T>(path, abort.signal).then(
      (data) => setState({ path, data, error: null }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setState((old) => ({ path, data: old.path === path ? old.data : null, error: ApiError.of(error) }));
      },
    );
    return () => abort.abort();
  }, [path, turn]);
  const reload = useCallback(() => setTurn((old) => old + 1), []);
  const isCurrent = state.path === path;
  return { data: isCurrent ? state.data : null, error: isCurrent ? state.error : null, reload };
}

/** Call a function for each event of the shared connection. */
export function useHub(listener: (event: HubEvent) => void): void {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => hub.listen((event) => latest.current(event)), []);
}

/** A function that calls the latest `action` at most once in `milliseconds`, and once after the last call. */
export function useThrottled(action: () => void, milliseconds: number): () => void {
  const latest = useRef(action);
  latest.current = action;
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const last = useRef(0);
  useEffect(
    () => () => {
      if (timer.current) clearTimeout(timer.current);
    },
    [],
  );
  return useCallback(() => {
    if (timer.current) return;
    const wait = Math.max(0, last.current + milliseconds - Date.now());
    timer.current = setTimeout(() => {
      timer.current = null;
      last.current = Date.now();
      latest.current();
    }, wait);
  }, [milliseconds]);
}

/** The time in seconds, updated every `interval` seconds while the page is visible. */
export function useNow(interval = 1, active = true): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now() / 1000);
    }, interval * 1000);
    return () => clearInterval(timer);
  }, [interval, active]);
  return now;
}

export function useDebounced<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

/** Call a function every `milliseconds` while `active` and the page is visible. */
export function useInterval(action: () => void, milliseconds: number, active: boolean): void {
  const latest = useRef(action);
  latest.current = action;
  useEffect(() => {
    if (!active) return undefined;
    const timer = setInterval(() => !document.hidden && latest.current(), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds, active]);
}
