import { useEffect, useState } from "preact/hooks";
import { get } from "../api/client";
import type { LogMatches } from "../api/types";

export type Match = LogMatches["matches"][number];

const PAGE = 1000;

export interface Matches {
  list: Match[];
  more: boolean;
  busy: boolean;
  next: () => void;
}

/** The lines of a log that contain a text, or that are of one stream; found by the server, page by page. */
export function useMatches(id: string, words: string, stream: string, lines: number): Matches {
  const [found, setFound] = useState<{ list: Match[]; next: number | null }>({ list: [], next: null });
  const [busy, setBusy] = useState(false);
  const key = `${id}\n${words}\n${stream}`;
  const load = async (from: number | null, old: Match[], signal?: AbortSignal): Promise<void> => {
    const query = new URLSearchParams({ format: "json", find: words, limit: String(PAGE) });
    if (stream) query.set("stream", stream);
    if (from !== null) query.set("from", String(from));
    setBusy(true);
    try {
      const page = await get<LogMatches>(`/task/${encodeURIComponent(id)}/logs?${query}`, signal);
      setFound({ list: [...old, ...page.matches], next: page.more ? page.next : null });
    } catch {
      if (!signal?.aborted) setFound({ list: old, next: null });
    } finally {
      setBusy(false);
    }
  };
  const wanted = Boolean(words || stream);
  // lines that are added while a search is shown are searched too, once a thousand
  const turn = wanted ? Math.floor(lines / PAGE) : 0;
  useEffect(() => {
    if (!wanted) {
      setFound({ list: [], next: null });
      return undefined;
    }
    const abort = new AbortController();
    void load(null, [], abort.signal);
    return () => abort.abort();
  }, [key, turn]);
  return {
    list: found.list,
    more: found.next !== null,
    busy,
    next: () => void load(found.next, found.list),
  };
}
