import { useGet } from "../api/hooks";
import type { BundleEntry } from "../api/types";
import { Command } from "../components/copy";
import { Skeleton } from "../components/notice";

/** The list without any task: how to make one. */
export function NoTasks() {
  const bundles = useGet<{ bundles: BundleEntry[] }>("/bundle");
  const first = bundles.data?.bundles[0];
  const task = first ? { bundle: first.reference, inputs: {} } : {};
  const body = JSON.stringify({ task, assigned_by: "me" });
  return (
    <div class="card no-tasks">
      <header>
        <h2>No tasks yet</h2>
      </header>
      <div class="body">
        <p>{first ? "Run one of these bundles, or send a task from a program:" : "Send a task from a program:"}</p>
        {!bundles.data && !bundles.error && <Skeleton rows={3} />}
        <BundleList bundles={bundles.data?.bundles ?? []} />
        <Command label="command" text={`curl -X POST ${location.origin}/task -d '${body}'`} />
      </div>
    </div>
  );
}

export function BundleList({ bundles }: { bundles: BundleEntry[] }) {
  if (!bundles.length) return null;
  return (
    <ul class="bundles">
      {bundles.map((bundle) => (
        <li key={bundle.reference}>
          <a href={`/ui/run?bundle=${encodeURIComponent(bundle.reference)}`}>{bundle.title || bundle.reference}</a>
          <span class="mono muted">{bundle.reference}</span>
          <span class="muted about">{bundle.description}</span>
        </li>
      ))}
    </ul>
  );
}
