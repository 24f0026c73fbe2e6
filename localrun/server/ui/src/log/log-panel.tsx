import { useEffect, useRef, useState } from "preact/hooks";
import { download, send } from "../api/client";
import { useDebounced } from "../api/hooks";
import { CopyButton } from "../components/copy";
import { Icon } from "../components/icon";
import { ErrorNotice, Skeleton } from "../components/notice";
import { VirtualList, type ListHandle } from "../components/virtual-list";
import { useKeys } from "../keys";
import { stripAnsi } from "../model/ansi";
import { bytes, plural } from "../model/format";
import { LogLine } from "./log-line";
import { useLog } from "./use-log";
import { useMatches } from "./use-matches";

const ROW = 18;
const WIDE = 160; // characters
let wasWrapped = false; // in the last log that was open
const COPIED = 4 * 1024 ** 2; // bytes of the log that are copied at most; more is a download

interface Props {
  id: string;
  isActive: boolean;
  hash: string;
  /** The byte of the log at the cursor of the timeline. */
  cursorByte: number | null;
  onTime: (time: number | null) => void;
}

export function LogPanel({ id, isActive, hash, cursorByte, onTime }: Props) {
  const linked = lineOf(hash);
  const log = useLog(id, linked, isActive);
  const { store } = log;
  const [following, setFollowing] = useState(linked === null);
  const [wrapped, setWrapped] = useState(wasWrapped);
  wasWrapped = wrapped;
  const [words, setWords] = useState("");
  const [stream, setStream] = useState("");
  const [only, setOnly] = useState(false);
  const [at, setAt] = useState<number | null>(null);
  const [hit, setHit] = useState(-1);
  const settled = useDebounced(words, 250);
  const matches = useMatches(id, settled, stream, store.lines);
  const handle = useRef<ListHandle>(null);
  const pending = useRef(false);
  const filtered = Boolean(stream) || (only && Boolean(settled));
  const count = filtered ? matches.list.length : store.lines;

  const go = (line: number): void => {
    setFollowing(false);
    setAt(line);
    handle.current?.scrollTo(line - 1, "center");
  };
  useEffect(() => {
    if (linked !== null && log.ready) go(linked);
  }, [linked, log.ready]);
  useEffect(() => {
    if (cursorByte === null || filtered) return undefined;
    const timer = setTimeout(() => void log.find(cursorByte).then(go, () => undefined), 120);
    return () => clearTimeout(timer);
  }, [cursorByte]);
  useEffect(() => {
    setHit(-1);
    if (!settled) pending.current = false;
  }, [settled, stream]);

  useEffect(() => {
    if (!pending.current || !matches.list.length) return;
    pending.current = false;
    step(1);
  }, [matches.list]);

  const step = (by: number): void => {
    if (words !== settled || matches.busy || !matches.list.length) {
      pending.current = true; // when the matches are there
      return;
    }
    const next = (hit + by + matches.list.length) % matches.list.length;
    const line = matches.list[next]?.line;
    setHit(next);
    if (line === undefined) return;
    if (filtered) handle.current?.scrollTo(next, "center");
    else go(line);
  };
  useKeys({ f: () => setFollowing((old) => !old), w: () => setWrapped((old) => !old) });
  const found = matches.list[hit]?.line ?? null;
  const text = async (): Promise<string> => {
    const response = await send(`/task/${encodeURIComponent(id)}/logs`);
    return (await response.text()).split("\n").map(stripAnsi).join("\n");
  };
  const digits = `${Math.max(3, String(store.lines).length) + 2}ch`;
  return (
    <section class="card log-card wide" aria-label="Log">
      <header>
        <h2>Log</h2>
        <span class="muted small">
          {log.ready && `${plural(store.lines, "line")}, ${bytes(store.size)}`}
        </span>
        <div class="log-tools">
          <input
            type="search"
            value={words}
            placeholder="Find in the log"
            aria-label="Find in the log"
            onInput={(event) => setWords(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
            }}
          />
          {settled && (
            <span class="small muted found-count" role="status">
              {matches.busy ? "..." : `${hit >= 0 ? `${hit + 1} of ` : ""}${matches.list.length.toLocaleString("en")}${matches.more ? "+" : ""}`}
            </span>
          )}
          {settled && (
            <>
              <button type="button" class="quiet" onClick={() => step(-1)} aria-label="Previous match" title="Previous match (Shift+Enter)">
                <Icon name="up" />
              </button>
              <button type="button" class="quiet" onClick={() => step(1)} aria-label="Next match" title="Next match (Enter)">
                <Icon name="down" />
              </button>
              <button type="button" aria-pressed={only} onClick={() => setOnly(!only)}>
                Only matches
              </button>
            </>
          )}
          <select value={stream} aria-label="Stream" onChange={(event) => setStream(event.currentTarget.value)}>
            <option value="">Both streams</option>
            <option value="stdout">stdout</option>
            <option value="stderr">stderr</option>
          </select>
          <button type="button" aria-pressed={wrapped} onClick={() => setWrapped(!wrapped)} title="Wrap long lines (w)">
            Wrap
          </button>
          <button type="button" aria-pressed={following} onClick={() => setFollowing(!following)} title="Keep the end visible (f)">
            Follow
          </button>
          {store.size <= COPIED && store.size > 0 && <CopyButton text={text} label="Copy the log" />}
          <button type="button" class="quiet" onClick={() => void download(`/task/${id}/logs`, `${id}.log`)} aria-label="Download the log" title="Download the log">
            <Icon name="download" />
          </button>
        </div>
      </header>
      {log.error && <ErrorNotice error={log.error} />}
      {!log.ready && (
        <div class="body">
          <Skeleton rows={6} height={14} />
        </div>
      )}
      {log.ready && !log.error && count === 0 && (
        <p class="empty">{filtered ? "No line matches." : isActive ? "Nothing was written yet." : "The program wrote nothing."}</p>
      )}
      {count > 0 && (
        <div style={{ "--digits": digits }}>
          <VirtualList
            class={wrapped ? "log wrapped" : "log"}
            wraps={wrapped}
            role="log"
            label="Log"
            count={count}
            rowHeight={ROW}
            follow={following && !filtered}
            onUserScroll={setFollowing}
            onRange={(first, last) => !filtered && log.show(first + 1, last + 1)}
            handle={handle}
            row={(index) => {
              const match = filtered ? matches.list[index] : undefined;
              const line = match?.line ?? index + 1;
              return (
                <LogLine
                  key={line}
                  line={line}
                  entry={match ?? store.get(line)}
                  isMarked={line === at}
                  isFound={line === found}
                  words={settled}
                  onTime={onTime}
                />
              );
            }}
          />
        </div>
      )}
      {at !== null && !wrapped && <LongLine line={at} text={store.get(at)?.text ?? ""} />}
      {filtered && matches.more && (
        <p class="body">
          <button type="button" onClick={matches.next}>Show more matches</button>
        </p>
      )}
    </section>
  );
}

/** The chosen line in full, if it is longer than the log is wide. */
function LongLine({ text, line }: { text: string; line: number }) {
  if (text.length < WIDE) return null;
  return (
    <div class="body">
      <pre tabIndex={0} aria-label={`Line ${line}`}>
        {stripAnsi(text)}
      </pre>
    </div>
  );
}

/** The line of `#L120`, or null. */
export function lineOf(hash: string): number | null {
  const found = /^#L(\d{1,12})$/.exec(hash);
  return found ? Math.max(1, Number(found[1])) : null;
}
