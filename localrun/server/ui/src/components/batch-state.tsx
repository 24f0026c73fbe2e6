import type { Batch, State } from "../api/types";
import { plural } from "../model/format";
import { Icon } from "./icon";
import "../styles/batches.css";

const ORDER: readonly State[] = ["FINISHED", "FAILED", "KILLED"];

/** The state of a batch as an icon, a word and a colour; one that has ended with failures is not green. */
export function BatchBadge({ batch }: { batch: Batch }) {
  const failed = failures(batch);
  const [kind, icon, word] =
    batch.state === "running"
      ? ["running", "play", "Running"]
      : batch.state !== "ended"
        ? ["killed", "square", batch.state === "stopped" ? "Stopped" : "Cancelled"]
        : failed
          ? ["failed", "cross", "Ended"]
          : ["finished", "check", "Finished"];
  return (
    <span class={`state s-${kind}`}>
      <Icon name={icon ?? ""} />
      {word}
    </span>
  );
}

export function failures({ counts }: Batch): number {
  return (counts.FAILED ?? 0) + (counts.KILLED ?? 0);
}

/** Whether another process runs it, which sends no events. */
export function isElsewhere(batch: Batch): boolean {
  return batch.state === "running" && !batch.can_cancel;
}

export function endedRows({ counts }: Batch): number {
  return ORDER.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
}

/** The seconds until all rows have ended, at the rate so far. */
export function remaining(batch: Batch): number | null {
  const left = batch.total - endedRows(batch);
  return batch.state === "running" && batch.rate ? left / batch.rate : null;
}

/** The ended rows by state, as parts of a bar of all rows. */
export function BatchBar({ batch }: { batch: Batch }) {
  const ended = endedRows(batch);
  const parts = ORDER.map((state) => `${(batch.counts[state] ?? 0).toLocaleString("en")} ${state.toLowerCase()}`);
  return (
    <span
      class="batch-bar"
      role="progressbar"
      aria-label="Ended rows"
      aria-valuemin={0}
      aria-valuemax={batch.total}
      aria-valuenow={ended}
      aria-valuetext={`${ended.toLocaleString("en")} of ${plural(batch.total, "row")}: ${parts.join(", ")}`}
      title={parts.join(", ")}
    >
      {ORDER.map((state) => {
        const share = ((batch.counts[state] ?? 0) / Math.max(1, batch.total)) * 100;
        return share > 0 && <span key={state} class={`b-${state.toLowerCase()}`} style={{ width: `${share}%` }} />;
      })}
    </span>
  );
}
