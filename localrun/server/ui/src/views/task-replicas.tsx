import type { Disagreement, Replicas } from "../api/types";
import { StateBadge } from "../components/icon";
import { Prose } from "../components/prose";
import { duration, plural, shortId } from "../model/format";
import { taskHref } from "../router";

/** The replicas of a task: what was varied, which have the same result, and the first difference. */
export function TaskReplicas({ replicas, id }: { replicas: Replicas; id: string }) {
  const groupOf = (number: number): string => {
    const at = replicas.groups.findIndex((group) => group.replicas.includes(number));
    return at < 0 ? "-" : String.fromCharCode(65 + (at % 26));
  };
  const varied = Object.entries(replicas.varied);
  const first = replicas.groups[0];
  return (
    <section class="card wide" aria-label="Replicas">
      <header>
        <h2>Replicas</h2>
        <span class="muted small">
          {first && `${first.replicas.length} of ${replicas.tasks.length} give the same result`}
          {replicas.agree !== null && `, ${replicas.agree} must agree`}
        </span>
      </header>
      <div class="body replicas">
        <div class="scroll" tabIndex={0} role="region" aria-label="Replica tasks">
          <table>
            <thead>
              <tr>
                <th scope="col">Replica</th>
                <th scope="col">State</th>
                <th scope="col">Result</th>
                <th scope="col" class="num">
                  Duration
                </th>
                {varied.map(([name]) => (
                  <th key={name} scope="col">
                    {name.replaceAll("_", " ")}
                  </th>
                ))}
                <th scope="col" />
              </tr>
            </thead>
            <tbody>
              {replicas.tasks.map((task, at) => {
                const number = task.replica ?? at + 1;
                const other = replicas.tasks[at === 0 ? 1 : 0];
                return (
                  <tr key={task.id}>
                    <th scope="row">
                      <a href={taskHref(task.id)} {...(task.id === id ? { "aria-current": "true" as const } : {})}>
                        {number} <span class="mono">{shortId(task.id)}</span>
                      </a>
                    </th>
                    <td>
                      <StateBadge state={task.state} />
                    </td>
                    <td>{replicas.failed[String(number)] ?? groupOf(number)}</td>
                    <td class="num">{task.seconds === null ? "-" : duration(task.seconds)}</td>
                    {varied.map(([name, values]) => (
                      <td key={name} class="mono">
                        {values[number - 1] ?? ""}
                      </td>
                    ))}
                    <td>{other && task.final && other.final && <a href={`/ui/compare?a=${other.id}&b=${task.id}`}>Compare</a>}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
        {replicas.disagreements.map((one) => (
          <Difference key={one.path} difference={one} />
        ))}
        {replicas.omitted > 0 && <p class="muted">{plural(replicas.omitted, "more file")} differ.</p>}
        {Object.entries(replicas.unvaried).map(([name, why]) => (
          <p key={name} class="muted small">
            Not varied: {name.replaceAll("_", " ")}, {why}
          </p>
        ))}
      </div>
    </section>
  );
}

function Difference({ difference }: { difference: Disagreement }) {
  const where = difference.line ? `line ${difference.line}, column ${difference.column}` : difference.offset === null ? "" : `byte ${difference.offset}`;
  return (
    <div class="difference">
      <h3>
        {difference.path} differs{where && ` at ${where}`}
      </h3>
      <table>
        <tbody>
          {(difference.variants ?? []).map((variant) => (
            <tr key={variant.replicas.join()}>
              <th scope="row">replica {variant.replicas.join(", ")}</th>
              <td class="mono wrap">{variant.value || (variant.size === null ? "no file" : `${variant.size} bytes`)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {difference.hints.map((hint) => (
        <p key={hint} class="muted small">
          <Prose text={hint} />
        </p>
      ))}
    </div>
  );
}
