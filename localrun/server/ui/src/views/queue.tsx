import { useEffect } from "preact/hooks";
import { useGet, useHub, useThrottled } from "../api/hooks";
import type { Queue, QueueEntry } from "../api/types";
import { StateBadge } from "../components/icon";
import { Gauge } from "../components/gauge";
import { ErrorNotice, Skeleton } from "../components/notice";
import { Ago } from "../components/time";
import { bytes, number, plural, shortId } from "../model/format";
import { taskHref } from "../router";

const INTERVAL = 3000; // milliseconds

/** The machine, the engine, and the tasks that run and wait. */
export function QueuePage() {
  const { data: queue, error, reload } = useGet<Queue>("/queue");
  const reloadSoon = useThrottled(reload, 1000);
  useHub((event) => {
    if (event.type === "task" && event.event.kind === "state") reloadSoon();
  });
  useEffect(() => {
    document.title = "Queue - localrun";
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, INTERVAL);
    return () => clearInterval(timer);
  }, []);
  if (error && !queue) return <ErrorNotice error={error} retry={reload} />;
  if (!queue) return <Skeleton rows={8} height={28} />;
  return (
    <>
      <div class="view-head">
        <h1>Queue and machine</h1>
      </div>
      <Machine queue={queue} />
      <Entries title="Running" entries={queue.running} now={queue.time} empty="No task is running." />
      <Entries title="Waiting" entries={queue.waiting} now={queue.time} empty="No task is waiting." />
      <p class="muted small wrap">
        Reservations of all tasks of this machine: <code>{queue.ledger}</code>
      </p>
    </>
  );
}

function Machine({ queue }: { queue: Queue }) {
  const { host, engine, capacity, reserved } = queue;
  return (
    <section class="gauges" aria-label="Machine">
      <Gauge name="CPU in use" percent={host.cpu_percent} detail={`${number(host.cpus)} CPUs`} limits={[]} />
      <Gauge
        name="Memory in use"
        percent={host.memory.percent}
        detail={`${bytes(host.memory.used)} of ${bytes(host.memory.total)}`}
        limits={[{ percent: host.memory.limit_percent, word: "no task starts above" }]}
      />
      {host.disks.map((disk) => (
        <Gauge
          key={disk.path}
          name={`Disk ${disk.path}`}
          percent={disk.percent}
          detail={`${bytes(disk.free)} free of ${bytes(disk.total)}`}
          limits={[
            { percent: disk.limit_percent, word: "no task starts above" },
            ...(disk.stop_percent ? [{ percent: disk.stop_percent, word: "tasks are stopped above" }] : []),
          ]}
        />
      ))}
      {capacity && reserved && (
        <>
          <Gauge
            name="CPUs reserved"
            percent={capacity.cpus ? (reserved.cpus / capacity.cpus) * 100 : 0}
            detail={`${number(reserved.cpus)} of ${number(capacity.cpus)}`}
            limits={[]}
          />
          <Gauge
            name="Memory reserved"
            percent={capacity.memory ? (reserved.memory / capacity.memory) * 100 : 0}
            detail={`${bytes(reserved.memory)} of ${bytes(capacity.memory)}`}
            limits={[]}
          />
          {capacity.gpus > 0 && (
            <Gauge name="GPUs reserved" percent={(reserved.gpus / capacity.gpus) * 100} detail={`${reserved.gpus} of ${capacity.gpus}`} limits={[]} />
          )}
        </>
      )}
      <div class={`card gauge-card engine${engine.available ? "" : " down"}`}>
        <h2>Engine</h2>
        {engine.available ? (
          <p>
            <strong>{engine.name}</strong> {engine.version}
          </p>
        ) : (
          <>
            <p class="problem">{engine.error ?? "not available"}</p>
            <p class="muted small">{engine.remedy}</p>
          </>
        )}
      </div>
    </section>
  );
}

interface EntriesProps {
  title: string;
  entries: QueueEntry[];
  now: number;
  empty: string;
}

function Entries({ title, entries, now, empty }: EntriesProps) {
  const isWaiting = title === "Waiting";
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span class="muted small">{entries.length > 0 && plural(entries.length, "task")}</span>
      </header>
      {entries.length === 0 ? (
        <p class="body muted">{empty}</p>
      ) : (
        <div class="body scroll-x" tabIndex={0} role="region" aria-label={`${title} tasks`}>
          <table class="queue">
            <thead>
              <tr>
                {isWaiting && (
                  <th scope="col" class="num">
                    Position
                  </th>
                )}
                <th scope="col">Task</th>
                <th scope="col">State</th>
                <th scope="col" class="num">
                  CPUs
                </th>
                <th scope="col" class="num">
                  Memory
                </th>
                <th scope="col" class="num">
                  GPUs
                </th>
                <th scope="col">Since</th>
                {isWaiting ? <th scope="col">Waits for</th> : <th scope="col">Process</th>}
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <tr key={entry.task_id}>
                  {isWaiting && <td class="num">{(entry.position ?? 0) + 1}</td>}
                  <th scope="row">
                    {entry.mine ? <a href={taskHref(entry.task_id)}>{entry.name || shortId(entry.task_id)}</a> : <span class="muted">a task of another folder</span>}{" "}
                    <span class="mono muted">{shortId(entry.task_id)}</span>
                  </th>
                  <td>{entry.state ? <StateBadge state={entry.state} /> : "-"}</td>
                  <td class="num">{number(entry.cpus)}</td>
                  <td class="num">{bytes(entry.memory)}</td>
                  <td class="num">{entry.gpus}</td>
                  <td>
                    <Ago time={entry.since} now={now} />
                  </td>
                  {isWaiting ? <td class="wrap">{waits(entry)}</td> : <td class="muted">{entry.pid === null ? "-" : `${entry.pid} on ${entry.host}`}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function waits(entry: QueueEntry) {
  return (
    <>
      {entry.reason}
      {(entry.shortages ?? []).map((one) => (
        <span key={one.resource} class="tag after">
          {one.resource}: {amount(one.resource, one.requested)} requested, {amount(one.resource, one.free)} free
        </span>
      ))}
      {entry.blocked_by && (
        <span class="muted small">
          {" "}
          after <a href={taskHref(entry.blocked_by)}>{shortId(entry.blocked_by)}</a>
        </span>
      )}
    </>
  );
}

function amount(resource: string, value: number): string {
  return resource === "memory" || resource === "disk" ? bytes(value) : number(value);
}
