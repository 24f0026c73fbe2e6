import type { BatchRow, Value } from "../api/types";
import { StateBadge } from "../components/icon";
import { Thumbnail } from "../components/thumbnail";
import { bytes, duration } from "../model/format";
import { taskHref } from "../router";

export function BatchLineHead() {
  return (
    <div class="batch-line head" role="row" aria-rowindex={1}>
      {["Row", "State", "Reason", "Inputs", "Outputs"].map((title) => (
        <span key={title} role="columnheader" class={`c-${title.toLowerCase()}`}>
          {title}
        </span>
      ))}
      <span role="columnheader" class="num c-seconds">
        Duration
      </span>
      <span role="columnheader" class="num c-memory">
        Memory
      </span>
    </div>
  );
}

interface Props {
  index: number;
  row: BatchRow | undefined;
  now: number;
}

export function BatchLine({ index, row, now }: Props) {
  if (!row) {
    return (
      <div class="batch-line item" role="row" aria-rowindex={index + 2}>
        <span role="cell" class="skeleton" />
      </div>
    );
  }
  const name = row.id || String(row.row);
  const seconds = row.seconds ?? (row.started && !row.final ? Math.max(0, now - row.started) : null);
  return (
    <div class="batch-line item" role="row" aria-rowindex={index + 2}>
      <span role="cell" class="c-row" title={`row ${row.row}`}>
        {row.task ? <a class="name" href={taskHref(row.task)}>{name}</a> : name}
      </span>
      <span role="cell" class="c-state">
        <StateBadge state={row.state} />
      </span>
      <span role="cell" class="c-reason" title={row.message}>
        {row.cause && <span class="cause">{row.cause}</span>} <span class="muted">{row.final && !row.cause ? "" : row.message}</span>
        {row.reused && <span class="tag">reused</span>}
        {row.node && <span class="tag">{row.node}</span>}
      </span>
      <span role="cell" class="c-inputs" title={texts(row.inputs)}>
        {texts(row.inputs)}
      </span>
      <span role="cell" class="c-outputs" title={texts(row.outputs)}>
        {row.image && <Thumbnail task={row.task} name={row.image.name} direction={row.image.direction} size={64} alt="" />}
        {texts(row.outputs)}
      </span>
      <span role="cell" class="num c-seconds">
        {seconds === null ? "-" : duration(seconds)}
      </span>
      <span role="cell" class="num c-memory">
        {row.memory_peak === null ? "-" : bytes(row.memory_peak)}
      </span>
    </div>
  );
}

function texts(values: Value[]): string {
  return values.map((value) => (value.text === undefined ? value.name : `${value.name} ${value.text}`)).join(", ");
}
