import type { LogEntry } from "../api/types";
import { parseAnsi } from "../model/ansi";

interface Props {
  line: number;
  entry: LogEntry | undefined;
  isMarked: boolean;
  isFound: boolean;
  words: string;
  onTime?: (time: number | null) => void;
}

/** One line of a log: its number, which is a link, and its text, with colours and the words that were searched. */
export function LogLine({ line, entry, isMarked, isFound, words, onTime }: Props) {
  const classes = ["log-line"];
  if (entry?.stream === "stderr") classes.push("err");
  if (entry?.stream === "localrun") classes.push("note");
  if (isMarked) classes.push("marked");
  if (isFound) classes.push("found");
  return (
    <div class={classes.join(" ")} id={`L${line}`} onMouseEnter={() => entry?.time && onTime?.(entry.time)}>
      <a href={`#L${line}`} tabIndex={-1} aria-label={`Line ${line}`}>
        {line}
      </a>
      <span>
        {entry?.stream === "stderr" && <span class="hidden-text">standard error: </span>}
        {entry ? <Text text={entry.text} words={words} /> : <span class="muted">...</span>}
        {entry?.cut && <span class="muted"> [the rest of this line is not shown]</span>}
      </span>
    </div>
  );
}

function Text({ text, words }: { text: string; words: string }) {
  return (
    <>
      {parseAnsi(text).map((span, at) => (
        <span key={at} class={span.classes || undefined}>
          {words ? marked(span.text, words) : span.text}
        </span>
      ))}
    </>
  );
}

function marked(text: string, words: string) {
  const lower = text.toLowerCase();
  const wanted = words.toLowerCase();
  const parts = [];
  let at = 0;
  for (let hit = lower.indexOf(wanted); hit >= 0; hit = lower.indexOf(wanted, at)) {
    parts.push(text.slice(at, hit), <mark key={hit}>{text.slice(hit, hit + wanted.length)}</mark>);
    at = hit + wanted.length;
  }
  parts.push(text.slice(at));
  return parts;
}
