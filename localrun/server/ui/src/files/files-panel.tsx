import { useEffect, useState } from "preact/hooks";
import type { Parameter, TaskView } from "../api/types";
import { plural } from "../model/format";
import { setQuery } from "../router";
import { findParameter, isGeometry, isImage } from "./parameter";
import { ParameterTable } from "./parameter-table";
import { ViewerPanel } from "./viewer-panel";

interface Props {
  view: TaskView;
  /** What is open: `outputs/mask`. */
  show: string | null;
}

/** The inputs and outputs of a task, with the viewer of the one that is open. */
export function FilesPanel({ view, show }: Props) {
  const [open, setOpen] = useState(show);
  useEffect(() => {
    if (open === null && view.row.final) setOpen(firstPicture(view));
  }, [view.row.final]);
  const onOpen = (name: string | null): void => {
    setOpen(name);
    setQuery("show", name ?? "");
  };
  const shown = open === null ? null : findParameter(view, open);
  const result = view.task.result;
  return (
    <>
      {shown && open && <ViewerPanel key={open} view={view} parameter={shown} path={open} onClose={() => onOpen(null)} />}
      <Side title="Inputs" direction="inputs" view={view} parameters={view.inputs} open={open} onOpen={onOpen} />
      <Side title="Outputs" direction="outputs" view={view} parameters={view.outputs} open={open} onOpen={onOpen} />
      {result !== null && result !== undefined && (
        <section class="card wide" aria-label="Result">
          <header>
            <h2>Result</h2>
          </header>
          <div class="body">
            <pre tabIndex={0}>{JSON.stringify(result, null, 2)}</pre>
          </div>
        </section>
      )}
    </>
  );
}

interface SideProps {
  title: string;
  direction: "inputs" | "outputs";
  view: TaskView;
  parameters: Parameter[];
  open: string | null;
  onOpen: (name: string | null) => void;
}

function Side({ title, direction, view, parameters, open, onOpen }: SideProps) {
  if (!parameters.length && view.row.kind === "manual") return null;
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span class="muted small">{parameters.length > 0 && plural(parameters.length, title.slice(0, -1).toLowerCase())}</span>
      </header>
      <div class="body">
        {parameters.length === 0 ? (
          <p class="muted">None declared.</p>
        ) : (
          <ParameterTable view={view} direction={direction} parameters={parameters} open={open} onOpen={onOpen} />
        )}
      </div>
    </section>
  );
}

/** Images and geometries are opened at once, because they are what a user wants to see. */
function firstPicture(view: TaskView): string | null {
  const outputs = view.outputs.filter((one) => one.files.length > 0);
  const hasImage = [...view.inputs, ...view.outputs].some((one) => isImage(one) && one.files.length > 0);
  if (!hasImage) return null;
  const first = outputs.find(isGeometry) ?? outputs.find(isImage);
  return first ? `outputs/${first.name}` : null;
}
