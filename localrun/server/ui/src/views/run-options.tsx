import type { Bundle, Problem } from "../api/types";
import { Problems } from "../components/notice";
import { problemsOf, type Options } from "../form/model";
import { bytes, number } from "../model/format";

interface Props {
  bundle: Bundle;
  options: Options;
  onChange: (options: Options) => void;
  problems: Problem[];
}

/** Resources, timeout, network and replicas; empty fields take what the descriptor says. */
export function RunOptions({ bundle, options, onChange, problems }: Props) {
  const { resources } = bundle;
  const fields: [keyof Options & string, string, string, string][] = [
    ["cpus", "CPUs", "resources.cpus", resources.cpus === null ? "" : number(resources.cpus)],
    ["memory", "Memory", "resources.memory", resources.memory === null ? "" : bytes(resources.memory).replace("iB", "i").replace(" ", "")],
    ["gpus", "GPUs", "resources.gpus", String(resources.gpus)],
    ["timeout", "Timeout", "timeout", "e.g. 10m"],
    ["replicas", "Replicas", "replicas", "1"],
    ["agree", "Must agree", "agree", "replicas that agree"],
  ];
  const set = options as unknown as Record<string, string>;
  return (
    <details class="card options" open={problems.some((one) => one.path !== "" && !one.path.startsWith("inputs"))}>
      <summary>Resources, timeout, network, replicas</summary>
      <div class="option-grid">
        {fields.map(([key, title, path, hint]) => {
          const found = problemsOf(problems, path);
          return (
            <div key={key} class="option">
              <label for={`option-${key}`}>{title}</label>
              <input
                id={`option-${key}`}
                type="text"
                value={set[key] ?? ""}
                placeholder={hint}
                aria-invalid={found.length > 0}
                aria-describedby={`option-${key}-problem`}
                autocomplete="off"
                onInput={(event) => onChange({ ...options, [key]: event.currentTarget.value })}
              />
              <Problems problems={found} id={`option-${key}-problem`} />
            </div>
          );
        })}
        <label class="option check-line">
          <input type="checkbox" checked={options.network} onChange={(event) => onChange({ ...options, network: event.currentTarget.checked })} />
          Network access
        </label>
      </div>
    </details>
  );
}
