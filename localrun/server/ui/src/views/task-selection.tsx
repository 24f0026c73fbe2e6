import { useState } from "preact/hooks";
import { ApiError, post, send } from "../api/client";
import type { Row } from "../api/types";
import { plural } from "../model/format";

interface Props {
  ids: string[];
  rows: Row[];
  onCompare: () => void;
  onClear: () => void;
  onDone: () => void;
}

/** What can be done with the selected tasks. */
export function Selection({ ids, rows, onCompare, onClear, onDone }: Props) {
  const [asked, setAsked] = useState<"kill" | "remove" | null>(null);
  const [problems, setProblems] = useState<string[]>([]);
  const active = rows.filter((row) => !row.final);
  const ended = rows.filter((row) => row.final);
  const apply = async (): Promise<void> => {
    const targets = asked === "kill" ? active : ended;
    const failed: string[] = [];
    const action = asked;
    setAsked(null);
    await Promise.all(
      targets.map((row) =>
        (action === "kill" ? post(`/task/${row.id}/kill`) : send(`/task/${row.id}`, { method: "DELETE" })).catch((error: unknown) =>
          failed.push(`${row.id.slice(0, 8)}: ${ApiError.of(error).message}`),
        ),
      ),
    );
    setProblems(failed);
    onDone();
    if (!failed.length) onClear();
  };
  return (
    <div class="selection" role="region" aria-label="Selected tasks">
      <strong>{plural(ids.length, "task")} selected</strong>
      {asked ? (
        <>
          <span>{asked === "kill" ? `Kill ${plural(active.length, "active task")}?` : `Remove ${plural(ended.length, "ended task")} with all files?`}</span>
          <button type="button" class="danger" onClick={() => void apply()}>
            {asked === "kill" ? "Kill" : "Remove"}
          </button>
          <button type="button" onClick={() => setAsked(null)}>Cancel</button>
        </>
      ) : (
        <>
          <button type="button" disabled={ids.length !== 2} onClick={onCompare} title="Select two tasks">
            Compare
          </button>
          <button type="button" class="danger" disabled={!active.length} onClick={() => setAsked("kill")}>
            Kill
          </button>
          <button type="button" class="danger" disabled={!ended.length} onClick={() => setAsked("remove")}>
            Remove
          </button>
        </>
      )}
      <button type="button" class="quiet push" onClick={onClear}>
        Clear
      </button>
      {problems.map((text) => (
        <p key={text} class="problem" role="alert">
          {text}
        </p>
      ))}
    </div>
  );
}
