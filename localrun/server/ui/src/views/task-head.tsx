import { useState } from "preact/hooks";
import type { TaskView } from "../api/types";
import { Command, CopyButton } from "../components/copy";
import { Metadata } from "../components/metadata";
import { Prose } from "../components/prose";
import { StateBadge } from "../components/icon";
import { Ago, secondsOf } from "../components/time";
import { stripAnsi } from "../model/ansi";
import { bytes, duration, number, shortId } from "../model/format";
import { batchHref } from "../router";

interface Props {
  view: TaskView;
  now: number;
  onKill: () => void;
  onRerun: () => void;
  failure: string;
}

/** What a task is, what became of it and why, and what can be done with it. */
export function TaskHead({ view, now, onKill, onRerun, failure }: Props) {
  const { row, headline, actions } = view;
  const seconds = secondsOf(row, now);
  return (
    <header class="task-head">
      <div class="title">
        <h1>{row.name || row.bundle || "Manual task"}</h1>
        <StateBadge state={row.state} />
        {headline.cause && <span class="tag cause">{headline.cause}</span>}
        <Actions view={view} onKill={onKill} onRerun={onRerun} />
      </div>
      {failure && (
        <div class="notice error" role="alert">
          {failure}
        </div>
      )}
      <div class="facts small">
        <span>
          id <b class="mono">{row.id}</b>
          <CopyButton text={row.id} label="Copy the id" />
        </span>
        {row.bundle && (
          <span title={row.bundle}>
            bundle <b>{view.bundle.reference ?? row.bundle}</b>
          </span>
        )}
        <span>
          created <b><Ago time={row.created} now={now} /></b>
        </span>
        {seconds !== null && (
          <span>
            {row.final ? "ran" : "for"} <b>{duration(seconds)}</b>
          </span>
        )}
        {row.cpus !== null && (
          <span>
            CPUs <b>{number(row.cpus)}</b>
          </span>
        )}
        {row.memory_limit !== null && (
          <span>
            memory <b>{bytes(row.memory_limit)}</b>
          </span>
        )}
        {row.exit_code !== null && (
          <span>
            exit code <b>{row.exit_code}</b>
          </span>
        )}
        {row.batch && (
          <span>
            row <b>{row.batch.name || row.batch.row}</b> of <a href={batchHref(row.batch.id)}>batch {shortId(row.batch.id)}</a>
          </span>
        )}
        {row.node && (
          <span>
            node <b>{row.node}</b>
          </span>
        )}
        {row.assigned_by && (
          <span>
            by <b>{row.assigned_by}</b>
          </span>
        )}
      </div>
      <Metadata metadata={row.metadata} />
      <Reason view={view} />
      {!actions.rerun && actions.rerun_problem && row.final && <p class="muted small">Cannot run it again: {actions.rerun_problem}</p>}
    </header>
  );
}

function Reason({ view }: { view: TaskView }) {
  const { headline, row } = view;
  const isFailed = row.state === "FAILED";
  if (!headline.message && !headline.explanation && !headline.remedy) return null;
  if (row.state === "FINISHED" && !headline.remedy && (!headline.message || headline.message === "finished")) return null;
  return (
    <div class={`reason${isFailed ? " failed" : ""}`}>
      {headline.message && <p class="message">{cleaned(headline.message)}</p>}
      {isFailed && headline.explanation && <p class="muted">
          <Prose text={headline.explanation} />
        </p>}
      {headline.remedy && (
        <p>
          <span class="muted">Remedy: </span>
          <Prose text={headline.remedy} />
        </p>
      )}
      {isFailed && headline.owner && <p class="muted small">{headline.owner}</p>}
    </div>
  );
}

/** The end of a log is part of some messages. */
function cleaned(message: string): string {
  return message.split("\n").map(stripAnsi).join("\n");
}

function Actions({ view, onKill, onRerun }: Pick<Props, "view" | "onKill" | "onRerun">) {
  const [asking, setAsking] = useState(false);
  const [commands, setCommands] = useState(false);
  const { actions, submission, row } = view;
  const shown: [string, string][] = [
    ["localrun", view.commands.run],
    ["curl", view.commands.curl],
    ["docker", view.commands.docker],
  ];
  return (
    <>
      <div class="row push actions">
        {actions.kill &&
          (asking ? (
            <>
              <span>Kill this task?</span>
              <button type="button"
                class="danger"
                onClick={() => {
                  setAsking(false);
                  onKill();
                }}
              >
                Kill
              </button>
              <button type="button" onClick={() => setAsking(false)}>Cancel</button>
            </>
          ) : (
            <button type="button" class="danger" onClick={() => setAsking(true)}>
              Kill
            </button>
          ))}
        {actions.rerun && (
          <button type="button" onClick={onRerun} title="Run it again with the same inputs (r)">
            Run again
          </button>
        )}
        {submission && (
          <a class="button" href={`/ui/run?from=${encodeURIComponent(row.id)}`}>
            Change and run
          </a>
        )}
        {row.replica_of && (
          <a class="button" href={`/ui/task/${row.replica_of}`}>
            All replicas
          </a>
        )}
        <button type="button" aria-expanded={commands} onClick={() => setCommands(!commands)}>
          Commands
        </button>
      </div>
      {commands && (
        <div class="commands">
          {shown
            .filter(([, text]) => text)
            .map(([name, text]) => (
              <Command key={name} text={text} label={`${name} command`} />
            ))}
        </div>
      )}
    </>
  );
}
