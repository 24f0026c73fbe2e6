import type { Json, Parameter, TaskView } from "../api/types";
import { download } from "../api/client";
import { Icon } from "../components/icon";
import { Problems } from "../components/notice";
import { Thumbnail } from "../components/thumbnail";
import { constraintOf } from "../model/constraint";
import { bytes, number, plural } from "../model/format";
import { isGeometry, isImage } from "./parameter";

interface Props {
  view: TaskView;
  direction: "inputs" | "outputs";
  parameters: Parameter[];
  open: string | null;
  onOpen: (name: string | null) => void;
}

const MOST_SOURCES = 10;

/** The value, type, constraint and problems of each input or output. */
export function ParameterTable({ view, direction, parameters, open, onOpen }: Props) {
  return (
    <table class="values">
      <tbody>
        {parameters.map((one) => (
          <tr key={one.name}>
            <th scope="row">
              <span title={one.description}>{one.display_name || one.name}</span>
              <span class="type">
                {one.type.id}
                {one.optional && ", optional"}
              </span>
            </th>
            <td>
              <Content view={view} direction={direction} parameter={one} open={open} onOpen={onOpen} />
              <Sources sources={one.sources ?? []} />
              {constraintOf(one.type) && <p class="muted small">{constraintOf(one.type)}</p>}
              <Problems problems={one.problems} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Sources({ sources }: { sources: NonNullable<Parameter["sources"]> }) {
  const more = sources.length - MOST_SOURCES;
  return (
    <>
      {sources.slice(0, MOST_SOURCES).map(({ place, text, task }) => (
        <p key={place} class="muted small">
          {task ? <a href={`/ui/task/${task}`}>{text}</a> : text}
        </p>
      ))}
      {more > 0 && <p class="muted small">{plural(more, "more source")}</p>}
    </>
  );
}

interface ContentProps extends Omit<Props, "parameters"> {
  parameter: Parameter;
}

function Content({ view, direction, parameter, open, onOpen }: ContentProps) {
  const path = `${direction}/${parameter.name}`;
  const first = parameter.files[0];
  if (parameter.missing) return <p class="muted">{view.row.final ? "missing" : "not there yet"}</p>;
  if (direction === "outputs" && !view.row.final && parameter.value === null && !first) return <p class="muted">not there yet</p>;
  if (!first || isPlain(parameter)) return <Value value={parameter.value} cut={parameter.cut} />;
  const size = parameter.files.reduce((sum, file) => sum + (file.size ?? 0), 0);
  const isOpen = open === path;
  return (
    <div class="file">
      {isImage(parameter) && <Thumbnail task={view.row.id} name={firstName(parameter)} direction={direction} size={192} alt="" />}
      <button type="button" aria-pressed={isOpen} onClick={() => onOpen(isOpen ? null : path)}>
        {isImage(parameter) || isGeometry(parameter) ? "View" : "Preview"}
      </button>
      <span class="muted small">
        {parameter.count !== null && `${plural(parameter.count, "item")}, `}
        {bytes(size)}
      </span>
      {parameter.count === null && (
        <button type="button" class="quiet" onClick={() => void download(first.url, parameter.name)} aria-label={`Download ${parameter.name}`} title="Download">
          <Icon name="download" />
        </button>
      )}
      {parameter.files_omitted > 0 && <span class="muted small">{plural(parameter.files_omitted, "more file")} not listed</span>}
    </div>
  );
}

function firstName(parameter: Parameter): string {
  return parameter.files[0]?.name ?? parameter.name;
}

/** Whether the value itself is shown: numbers and texts, and lists of them. */
export function isPlain(parameter: Parameter): boolean {
  if (parameter.kind === "scalar" || parameter.kind === "text") return true;
  if (parameter.kind !== "array" || isImage(parameter) || isGeometry(parameter)) return false;
  return parameter.value !== null;
}

export function Value({ value, cut }: { value: Json; cut?: boolean | undefined }) {
  if (value === null) return <span class="muted">no value</span>;
  if (typeof value === "number") return <span class="value mono">{number(value)}</span>;
  if (typeof value === "string") {
    return (
      <span class="value">
        {value === "" ? <span class="muted">empty text</span> : value}
        {cut && <span class="muted"> ... (cut)</span>}
      </span>
    );
  }
  if (typeof value === "boolean") return <span class="value mono">{String(value)}</span>;
  if (Array.isArray(value) && value.every((item) => item === null || typeof item !== "object")) {
    return <span class="value mono">{value.length ? value.map(String).join(", ") : "empty list"}</span>;
  }
  return (
    <pre class="value" tabIndex={0}>
      {JSON.stringify(value, null, 1).slice(0, 20_000)}
    </pre>
  );
}
