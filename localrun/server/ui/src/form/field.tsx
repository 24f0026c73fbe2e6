import type { ComponentChildren } from "preact";
import type { FormParameter, Json, Problem } from "../api/types";
import { Problems } from "../components/notice";
import { constraintOf } from "../model/constraint";
import { ArrayInput } from "./array-input";
import { FileInput } from "./file-input";
import { GeometryInput } from "./geometry-input";
import { takesFile, type Entry, type FileChoice } from "./model";
import { ScalarInput } from "./scalar-input";

export interface ImageSource {
  name: string;
  choice: FileChoice;
}

interface Props {
  parameter: FormParameter;
  entry: Entry;
  problems: Problem[];
  images: ImageSource[];
  onChange: (entry: Entry) => void;
}

/** One input of the form: its name, its control, its constraint, and what the server says about it. */
export function Field({ parameter, entry, problems, images, onChange }: Props) {
  const id = `in-${parameter.name}`;
  const about = [parameter.description && `${id}-about`, `${id}-problem`].filter(Boolean).join(" ");
  const shared = { id, about, type: parameter.type, entry, onChange, invalid: problems.length > 0, label: parameter.display_name || parameter.name, initial: parameter.default };
  const showsChoices = parameter.type.id === "enumeration" && !tooMany(parameter);
  const isGroup = parameter.type.id === "array" || showsChoices || parameter.type.id === "boolean";
  return (
    <div class={`field${problems.length ? " invalid" : ""}`}>
      <div class="field-label">
        {isGroup ? <span id={`${id}-label`}>{shared.label}</span> : <label for={id}>{shared.label}</label>}
        <span class="muted small">
          {parameter.name !== shared.label && (
            <>
              <code>{parameter.name}</code>,{" "}
            </>
          )}
          {parameter.type.id}
          {parameter.optional && ", optional"}
        </span>
      </div>
      <div class="field-control">
        <Control parameter={parameter} images={images} {...shared} />
        <p class="muted small" id={`${id}-about`}>
          {[parameter.description, !showsChoices && sentence(constraintOf(parameter.type))].filter(Boolean).join(" ")}
          {parameter.matching.length > 0 && ` As many items as ${parameter.matching.join(", ")}.`}
          {parameter.has_default && <> Default: {JSON.stringify(parameter.default)}.</>}
        </p>
        <div aria-live="polite">
          <Problems id={`${id}-problem`} problems={problems} />
        </div>
      </div>
    </div>
  );
}

export interface ControlProps {
  id: string;
  about: string;
  label: string;
  type: FormParameter["type"];
  entry: Entry;
  invalid: boolean;
  /** The value that the server takes if there is none. */
  initial?: Json | undefined;
  onChange: (entry: Entry) => void;
}

function Control(props: ControlProps & { parameter: FormParameter; images: ImageSource[] }): ComponentChildren {
  const { type } = props;
  if (type.id === "array") return <ArrayInput {...props} />;
  if (takesFile(type)) return <FileInput {...props} />;
  if (type.id === "geometry") return <GeometryInput {...props} />;
  return <ScalarInput {...props} />;
}

function sentence(text: string): string {
  return text && `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function tooMany(parameter: FormParameter): boolean {
  return Array.isArray(parameter.type.values) && parameter.type.values.length > 5;
}
