import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, request } from "../api/client";
import type { LogPage } from "../api/types";
import { openStream } from "../stream/reader";
import { BLOCK, LogStore } from "./store";

export interface Log {
  store: LogStore;
  error: ApiError | null;
  /** Whether the first page has arrived. */
  ready: boolean;
  /** Load what is missing to show lines `first` up to but without `last`. */
  show: (first: number, last: number) => void;
  /** The line that contains a byte; loads it. */
  find: (byte: number) => Promise<number>;
}

/** The log of a task: pages that were asked for, and new lines as they are written. */
export function useLog(id: string, firstLine: number | null, isActive: boolean): Log {
  const [store] = useState(() => new LogStore());
  const [, setVersion] = useState(0);
  const [error, setError] = useState<ApiError | null>(null);
  const [ready, setReady] = useState(false);
  const asked = useRef(new Set<number>());
  const path = `/task/${encodeURIComponent(id)}/logs`;
  const frame = useRef(0);
  const changed = (): void => {
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => setVersion((old) => old + 1));
  };
  const load = async (query: string): Promise<LogPage> => {
    const page = await get<LogPage>(`${path}?format=json&${query}`);
    store.add(page);
    changed();
    return page;
  };

  useEffect(() => {
    let close: (() => void) | undefined;
    let isOpen = true;
    const start = firstLine === null ? "tail=300" : `line=${Math.max(1, firstLine - 100)}&limit=300`;
    load(start)
      .then((page) => {
        setReady(true);
        if (isOpen && isActive && !page.complete) close = follow();
      })
      .catch((problem: unknown) => {
        setReady(true);
        setError(ApiError.of(problem));
      });
    const follow = (): (() => void) => {
      let ended = false;
      return openStream({
        request: (headers, signal) => request(`${path}?format=events&from=${Math.max(store.end, store.size)}`, { headers, signal, cache: "no-store" }),
        ends: () => ended || store.complete,
        onEvent: (event) => {
          if (event.event === "end") {
            ended = true;
            store.complete = true;
          } else if (event.event === "lines") store.add(JSON.parse(event.data) as LogPage);
          changed();
        },
      });
    };
    return () => {
      isOpen = false;
      close?.();
      cancelAnimationFrame(frame.current);
    };
  }, [id]);

  const show = (first: number, last: number): void => {
    for (const line of store.missing(first, last)) {
      if (asked.current.has(line)) continue;
      asked.current.add(line);
      const end = (Math.floor((line - 1) / BLOCK) + 1) * BLOCK;
      load(`line=${line}&limit=${end - line + 1}`)
        .catch(() => undefined)
        .finally(() => asked.current.delete(line));
    }
  };
  const find = async (byte: number): Promise<number> => {
    const known = store.lineAt(byte);
    return known ?? (await load(`from=${byte}&limit=200`)).start.line;
  };
  return { store, error, ready, show, find };
}
