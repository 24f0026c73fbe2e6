import type { ComponentType } from "preact";
import { useState } from "preact/hooks";
import type { Diff, Parameter } from "../api/types";
import { isGeometry, isImage } from "./parameter";

interface Props {
  diff: Diff;
  direction: "inputs" | "outputs";
  a: Parameter;
  b: Parameter;
}

export interface Compared {
  first: { task: string; place: string };
  second: { task: string; place: string };
}

type View = ComponentType<Compared>;

/** Images side by side and as a difference, and geometries of both tasks on one image; loaded when asked for. */
export function CompareFiles({ diff, direction, a, b }: Props) {
  const [found, setFound] = useState<{ view: View } | null>(null);
  const [item, setItem] = useState(0);
  const images = isImage(a) && isImage(b);
  const geometries = isGeometry(a) && isGeometry(b);
  if (!images && !geometries) return null;
  const items = Math.min(a.files.length, b.files.length);
  const open = async (): Promise<void> => {
    const module = await import("../viewer/compared");
    setFound({ view: images ? module.ComparedImages : module.ComparedShapes });
  };
  if (!found) {
    return (
      <button type="button" onClick={() => void open()}>
        {images ? "Compare the images" : "Draw both on one image"}
      </button>
    );
  }
  const name = (parameter: Parameter): string => (images ? (parameter.files[item]?.name ?? parameter.name) : parameter.name);
  return (
    <>
      {images && items > 1 && (
        <label class="row">
          Item
          <select value={item} onChange={(event) => setItem(Number(event.currentTarget.value))}>
            {Array.from({ length: items }, (_, at) => (
              <option key={at} value={at}>
                {at}
              </option>
            ))}
          </select>
        </label>
      )}
      <found.view
        key={item}
        first={{ task: diff.a.id, place: `${direction}/${name(a)}` }}
        second={{ task: diff.b.id, place: `${direction}/${name(b)}` }}
      />
    </>
  );
}
