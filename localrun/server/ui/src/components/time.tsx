import { useNow } from "../api/hooks";
import { ago, duration, exact } from "../model/format";
import type { Row } from "../api/types";

/** A time as `3 min ago`, with the exact one as its title. */
export function Ago({ time, now }: { time: number | null; now: number }) {
  if (time === null) return <span class="muted">-</span>;
  return (
    <time dateTime={new Date(time * 1000).toISOString()} title={exact(time)}>
      {ago(time, now)}
    </time>
  );
}

/** How long a task has run: counts while it is active. */
export function secondsOf(row: Row, now: number): number | null {
  if (row.seconds !== null) return row.seconds;
  const start = row.final ? (row.started ?? row.created) : row.started;
  if (start === null) return null;
  return Math.max(0, (row.ended ?? now) - start);
}

export function Elapsed({ row }: { row: Row }) {
  const now = useNow(1, !row.final);
  const seconds = secondsOf(row, now);
  return <span>{seconds === null ? "-" : duration(seconds)}</span>;
}
