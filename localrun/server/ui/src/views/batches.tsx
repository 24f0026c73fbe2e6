import { useEffect, useState } from "preact/hooks";
import { hub } from "../api/hub";
import { useGet, useHub, useInterval, useNow, useThrottled } from "../api/hooks";
import type { Batch } from "../api/types";
import { BatchBadge, BatchBar, endedRows, failures, isElsewhere } from "../components/batch-state";
import { ErrorNotice, Skeleton } from "../components/notice";
import { Ago } from "../components/time";
import { plural, shortId } from "../model/format";
import { batchHref } from "../router";

interface List {
  batches: Batch[];
  total: number;
  event_id: string;
}

const EXAMPLE = `localrun batch BUNDLE --table inputs.csv

curl -X POST ${location.origin}/batch -d '{"bundle": "BUNDLE", "rows": [{"a": 1}, {"a": 2}]}'`;

/** The batches of the folder, newest first, live. */
export function BatchesPage() {
  const { data, error, reload } = useGet<List>("/batch?limit=1000");
  const [changed, setChanged] = useState<ReadonlyMap<string, Batch>>(new Map());
  const now = useNow(5);
  const reloadSoon = useThrottled(reload, 1500);
  useEffect(() => {
    document.title = "Batches - localrun";
  }, []);
  useEffect(() => {
    if (!data) return;
    setChanged(new Map());
    hub.startAfter(data.event_id);
  }, [data]);
  useHub((event) => {
    if (event.type === "reset") return reload();
    if (event.type === "batch") {
      setChanged((old) => new Map(old).set(event.batch.batch_id, event.batch));
      if (!data?.batches.some((one) => one.batch_id === event.batch.batch_id)) reloadSoon();
    } else if (event.type === "task" && event.event.task?.batch) reloadSoon();
  });
  useInterval(reloadSoon, 4000, Boolean(data?.batches.some(isElsewhere)));
  const batches = (data?.batches ?? []).map((one) => changed.get(one.batch_id) ?? one);
  return (
    <>
      <div class="view-head">
        <h1>Batches</h1>
        <span class="muted small push" role="status">
          {data && plural(data.total, "batch").replace("batchs", "batches")}
        </span>
      </div>
      {error && <ErrorNotice error={error} retry={reload} />}
      {!data && !error && <Skeleton rows={6} height={28} />}
      {data && batches.length === 0 && (
        <div class="empty">
          <h2>No batches yet</h2>
          <p>A batch runs one bundle for many rows of inputs:</p>
          <pre>{EXAMPLE}</pre>
        </div>
      )}
      {batches.length > 0 && (
        <div class="card scroll-x" tabIndex={0} role="region" aria-label="Table of batches">
          <table class="batches">
            <thead>
              <tr>
                {["State", "Name", "Progress", "Rows", "Failed", "Created", "By"].map((title) => (
                  <th key={title} scope="col" class={["Rows", "Failed", "Created"].includes(title) ? "num" : ""}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {batches.map((batch) => (
                <Line key={batch.batch_id} batch={batch} now={now} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function Line({ batch, now }: { batch: Batch; now: number }) {
  const failed = failures(batch);
  return (
    <tr>
      <td>
        <BatchBadge batch={batch} />
      </td>
      <td>
        <a class="name" href={batchHref(batch.batch_id)}>
          {batch.name || batch.bundle}
        </a>{" "}
        <span class="mono muted small" title={batch.batch_id}>
          {shortId(batch.batch_id)}
        </span>
        {batch.error && <p class="problem small clip">{batch.error}</p>}
      </td>
      <td>
        <BatchBar batch={batch} />
      </td>
      <td class="num">
        {endedRows(batch).toLocaleString("en")} of {batch.total.toLocaleString("en")}
      </td>
      <td class="num">{failed > 0 ? <span class="cause">{failed.toLocaleString("en")}</span> : "0"}</td>
      <td class="num muted">
        <Ago time={batch.created} now={now} />
      </td>
      <td class="muted">{batch.assigned_by}</td>
    </tr>
  );
}
