import { Icon } from "../components/icon";
import { Chosen } from "./file-input";
import type { ControlProps, ImageSource } from "./field";
import { FileInput } from "./file-input";
import { GeometryInput } from "./geometry-input";
import { emptyEntry, itemType, takesFile, type Entry } from "./model";
import { ScalarInput } from "./scalar-input";

/** A list of values: add, remove, reorder, paste one per line, or drop many files. */
export function ArrayInput(props: ControlProps & { images: ImageSource[] }) {
  const { id, label, type, entry, onChange } = props;
  const inner = itemType(type);
  const set = (items: Entry[]): void => onChange({ ...entry, items, text: "" });
  const change = (at: number, item: Entry): void => set(entry.items.map((old, other) => (other === at ? item : old)));
  const move = (at: number, by: number): void => {
    const items = [...entry.items];
    const [item] = items.splice(at, 1);
    if (item) items.splice(at + by, 0, item);
    set(items);
  };
  const addFiles = (files: FileList | null | undefined): void => {
    const added = [...(files ?? [])].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    set([...entry.items, ...added.map((file): Entry => ({ ...emptyEntry(), file: { from: "browser", file } }))]);
  };
  const withFiles = takesFile(inner);
  return (
    <div
      class="array"
      role="group"
      aria-labelledby={`${id}-label`}
      aria-describedby={props.about}
      onDragOver={(event) => withFiles && event.preventDefault()}
      onDrop={(event) => {
        if (!withFiles) return;
        event.preventDefault();
        event.stopPropagation();
        addFiles(event.dataTransfer?.files);
      }}
    >
      <ol>
        {entry.items.map((item, at) => (
          <li key={at}>
            <span class="muted num">{at}</span>
            <div class="item">
              {withFiles && item.file ? (
                <Chosen choice={item.file} isImage={inner.id === "image"} onClear={() => change(at, emptyEntry())} />
              ) : (
                <Item {...props} id={`${id}-${at}`} label={`${label} ${at}`} type={inner} entry={item} onChange={(changed) => change(at, changed)} />
              )}
            </div>
            <button type="button" class="quiet" disabled={at === 0} onClick={() => move(at, -1)} aria-label={`Move item ${at} up`}>
              <Icon name="up" />
            </button>
            <button type="button" class="quiet" disabled={at === entry.items.length - 1} onClick={() => move(at, 1)} aria-label={`Move item ${at} down`}>
              <Icon name="down" />
            </button>
            <button type="button" class="quiet" onClick={() => set(entry.items.filter((_, other) => other !== at))} aria-label={`Remove item ${at}`}>
              <Icon name="cross" />
            </button>
          </li>
        ))}
      </ol>
      <div class="row">
        {withFiles ? (
          <>
            <label class="button" for={`${id}-add`}>
              Add files
            </label>
            <input id={`${id}-add`} class="hidden-text" type="file" multiple onChange={(event) => addFiles(event.currentTarget.files)} />
            <span class="muted small">or drop them here; they are ordered by name</span>
          </>
        ) : (
          <button type="button" onClick={() => set([...entry.items, emptyEntry()])}>
            <Icon name="plus" />
            Add an item
          </button>
        )}
        {entry.items.length === 0 && (
          <label class="row small">
            <input
              type="checkbox"
              checked={entry.text === "[]"}
              onChange={(event) => onChange({ ...entry, text: event.currentTarget.checked ? "[]" : "" })}
            />
            empty list
          </label>
        )}
      </div>
    </div>
  );
}

function Item(props: ControlProps & { images: ImageSource[] }) {
  if (props.type.id === "array") return <ArrayInput {...props} />;
  if (takesFile(props.type)) return <FileInput {...props} />;
  if (props.type.id === "geometry") return <GeometryInput {...props} />;
  return (
    <>
      <label class="hidden-text" for={props.id} id={`${props.id}-label`}>
        {props.label}
      </label>
      <ScalarInput {...props} />
    </>
  );
}
