import type { Row } from "../api/types";
import { StateBadge } from "../components/icon";
import { MetadataTags } from "../components/metadata";
import { Thumbnail } from "../components/thumbnail";
import { Ago, secondsOf } from "../components/time";
import { bytes, duration, exact, shortId } from "../model/format";
import { batchHref, taskHref } from "../router";

const COLUMNS: [string, string, string][] = [
  ["", "State", ""],
  ["name", "Name", ""],
  ["", "Id", "c-id"],
  ["", "Cause, step", "c-cause"],
  ["created", "Created", "num"],
  ["seconds", "Duration", "c-seconds num"],
  ["memory", "Memory", "c-memory num"],
  ["", "Outputs", "c-outputs"],
  ["", "By", "c-by"],
];

export function HeadRow({ sort, onSort }: { sort: string; onSort: (sort: string) => void }) {
  return (
    <div class="line head" role="row" aria-rowindex={1}>
      <span role="columnheader">
        <span class="hidden-text">Selected</span>
      </span>
      {COLUMNS.map(([key, title, kind]) => {
        const direction = sort === key ? "ascending" : sort === `-${key}` ? "descending" : "none";
        return (
          <span key={title} role="columnheader" class={kind} {...(key ? { "aria-sort": direction } : {})}>
            {key ? (
              <button type="button" class="sort" onClick={() => onSort(direction === "descending" ? key : `-${key}`)}>
                {title}
                <span aria-hidden="true">{direction === "none" ? "" : direction === "ascending" ? " ↑" : " ↓"}</span>
              </button>
            ) : (
              title
            )}
          </span>
        );
      })}
    </div>
  );
}

interface Props {
  index: number;
  row: Row | undefined;
  now: number;
  isCurrent: boolean;
  isSelected: boolean;
  onSelect: (id: string) => void;
  onCurrent: (id: string) => void;
}

export function TaskRow({ index, row, now, isCurrent, isSelected, onSelect, onCurrent }: Props) {
  if (!row) {
    return (
      <div class="line item" role="row" aria-rowindex={index + 2}>
        <span role="cell" class="skeleton" />
      </div>
    );
  }
  const name = row.name || row.bundle || "manual task";
  const seconds = secondsOf(row, now);
  return (
    <div
      class={`line item${isCurrent ? " current" : ""}`}
      role="row"
      aria-rowindex={index + 2}
      aria-current={isCurrent ? "true" : undefined}
      onClick={() => onCurrent(row.id)}
    >
      <span role="cell" class="check">
        <input type="checkbox" checked={isSelected} onChange={() => onSelect(row.id)} aria-label={`Select ${name} ${shortId(row.id)}`} />
      </span>
      <span role="cell">
        <StateBadge state={row.state} />
      </span>
      <span role="cell" title={name}>
        <a class="name" href={taskHref(row.id)}>
          {name}
        </a>
        {row.replicas > 0 && <span class="tag after">{row.replicas} replicas</span>}
        {row.batch && (
          <a class="tag after" href={batchHref(row.batch.id)} title="Row of a batch">
            row {row.batch.name || row.batch.row}
          </a>
        )}
        {row.node && <span class="tag after">{row.node}</span>}
        <MetadataTags metadata={row.metadata} />
        {row.warnings > 0 && <span class="tag after">{row.warnings === 1 ? "1 warning" : `${row.warnings} warnings`}</span>}
      </span>
      <span role="cell" class="c-id mono" title={row.id}>
        {shortId(row.id)}
      </span>
      <span role="cell" class="c-cause" title={row.message}>
        {row.cause ? <span class="cause">{row.cause}</span> : <span class="muted">{row.final ? "" : row.step || row.message}</span>}
      </span>
      <span role="cell" class="num muted">
        <Ago time={row.created} now={now} />
      </span>
      <span role="cell" class="c-seconds num" title={row.started === null ? "not started" : `started ${exact(row.started)}`}>
        {seconds === null ? "-" : duration(seconds)}
      </span>
      <span role="cell" class="c-memory num">
        <Memory row={row} />
      </span>
      <span role="cell" class="c-outputs">
        <Outputs row={row} />
      </span>
      <span role="cell" class="c-by muted" title={row.assigned_by}>
        {row.assigned_by}
      </span>
    </div>
  );
}

/** The memory of a task, as a bar of its limit: now while it runs, the highest afterwards. */
function Memory({ row }: { row: Row }) {
  const used = row.memory ?? row.memory_peak;
  if (used === null) return <span class="muted">-</span>;
  const part = row.memory_limit ? Math.min(1, used / row.memory_limit) : 0;
  const limit = row.memory_limit ? ` of ${bytes(row.memory_limit)}` : "";
  return (
    <span title={`${bytes(used)}${limit}`}>
      {row.memory_limit !== null && (
        <span class={`bar${part > 0.9 ? " high" : ""}`} aria-hidden="true">
          <span style={{ width: `${Math.max(2, part * 100)}%` }} />
        </span>
      )}
      {bytes(used)}
      <span class="hidden-text">{limit}</span>
    </span>
  );
}

function Outputs({ row }: { row: Row }) {
  const texts = row.values.filter((value) => value.text !== undefined).map((value) => `${value.name} ${value.text}`);
  return (
    <>
      {row.image && row.final && <Thumbnail task={row.id} name={row.image.name} direction={row.image.direction} size={64} alt="" />}
      <span title={texts.join(", ")}>{texts.join(", ")}</span>
    </>
  );
}
