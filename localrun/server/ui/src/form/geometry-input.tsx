import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ControlProps, ImageSource } from "./field";
import { nameOf } from "./file-input";
import type { FileChoice } from "./model";

interface DrawingProps {
  image: FileChoice;
  text: string;
  onChange: (text: string) => void;
}

/** A geometry: pasted as GeoJSON, read from a file, or drawn on an image of the form. */
export function GeometryInput({ id, about, label, entry, invalid, images, onChange }: ControlProps & { images: ImageSource[] }) {
  const [drawing, setDrawing] = useState<string | null>(null);
  const [Drawing, setComponent] = useState<{ view: ComponentType<DrawingProps> } | null>(null);
  const image = images.find((one) => one.name === drawing);
  useEffect(() => {
    if (drawing !== null && !Drawing) {
      import("../viewer/drawing").then(
        (module) => setComponent({ view: module.default }),
        () => setDrawing(null),
      );
    }
  }, [drawing]);
  const set = (text: string): void => onChange({ ...entry, text });
  const readFile = async (file: File | undefined): Promise<void> => {
    if (file) set(await file.text());
  };
  return (
    <div
      class="geometry"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        event.stopPropagation();
        void readFile(event.dataTransfer?.files[0]);
      }}
    >
      <textarea
        id={id}
        aria-label={label}
        aria-describedby={about}
        aria-invalid={invalid}
        rows={3}
        spellcheck={false}
        value={entry.text}
        placeholder='{"type": "Point", "coordinates": [10, 20]}'
        onInput={(event) => set(event.currentTarget.value)}
      />
      <div class="row">
        {images.map((one) => (
          <button type="button" key={one.name} aria-pressed={drawing === one.name} onClick={() => setDrawing(drawing === one.name ? null : one.name)}>
            Draw on {one.name} ({nameOf(one.choice)})
          </button>
        ))}
        <label class="button" for={`${id}-file`}>
          Open a file
        </label>
        <input id={`${id}-file`} class="hidden-text" type="file" onChange={(event) => void readFile(event.currentTarget.files?.[0])} />
        {images.length === 0 && <span class="muted small">Choose an image first to draw on it.</span>}
      </div>
      {image && Drawing && <Drawing.view key={drawing} image={image.choice} text={entry.text} onChange={set} />}
    </div>
  );
}
