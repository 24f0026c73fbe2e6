import { useEffect, useState } from "preact/hooks";
import { bytes } from "../model/format";
import type { ControlProps } from "./field";
import type { FileChoice } from "./model";

/** A file by drop or by choice, with a thumbnail where the browser can show it. */
export function FileInput({ id, about, type, entry, invalid, onChange }: ControlProps) {
  const [over, setOver] = useState(false);
  const choose = (file: File | undefined): void => {
    if (file) onChange({ ...entry, file: { from: "browser", file } });
  };
  return (
    <div
      class={`drop${over ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        choose(event.dataTransfer?.files[0]);
      }}
    >
      {entry.file && <Chosen choice={entry.file} isImage={type.id === "image"} onClear={() => onChange({ ...entry, file: null })} />}
      <input
        id={id}
        type="file"
        aria-describedby={about}
        aria-invalid={invalid}
        onChange={(event) => choose(event.currentTarget.files?.[0])}
      />
      {!entry.file && <span class="muted small">or drop it here</span>}
    </div>
  );
}

export function Chosen({ choice, isImage, onClear }: { choice: FileChoice; isImage: boolean; onClear: () => void }) {
  return (
    <div class="row chosen">
      {isImage && choice.from === "browser" && <LocalThumbnail file={choice.file} />}
      <span class="wrap">{nameOf(choice)}</span>
      {choice.from === "browser" && <span class="muted small">{bytes(choice.file.size)}</span>}
      {choice.from === "task" && <span class="muted small">from an earlier task</span>}
      <button type="button" class="quiet" onClick={onClear}>
        Remove
      </button>
    </div>
  );
}

export function nameOf(choice: FileChoice): string {
  if (choice.from === "browser") return choice.file.name;
  return choice.from === "task" ? choice.name : choice.path;
}

const SHOWN = 32 * 1024 ** 2; // bytes of a file that the browser decodes for a thumbnail

function LocalThumbnail({ file }: { file: File }) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    if (file.size > SHOWN || !/^image\/(png|jpeg)$/.test(file.type)) return undefined;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url ? <img class="thumb" src={url} alt="" onError={() => setUrl("")} /> : null;
}
