import type Map from "ol/Map";
import GeoJSON from "ol/format/GeoJSON";
import Draw, { createBox } from "ol/interaction/Draw";
import Modify from "ol/interaction/Modify";
import ImageLayer from "ol/layer/Image";
import VectorLayer from "ol/layer/Vector";
import Static from "ol/source/ImageStatic";
import VectorSource from "ol/source/Vector";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "../api/client";
import type { FileChoice } from "../form/model";
import { COLOURS, extentOf, featuresOf, fit, makeMap, styleOf, tileLayer, viewOf } from "./image-map";
import { FIRST, type ImageDescription, type Shape } from "./types";

interface Props {
  image: FileChoice;
  text: string;
  onChange: (text: string) => void;
}

type Tool = "Polygon" | "Rectangle" | "Point" | "LineString";

const TOOLS: [Tool, string][] = [
  ["Polygon", "Polygon"],
  ["Rectangle", "Rectangle"],
  ["Point", "Point"],
  ["LineString", "Line"],
];
const STYLE = styleOf(COLOURS[0] ?? "#ffd21f");
const LARGEST = 64 * 1024 ** 2; // bytes of a file that the browser decodes

interface Picture {
  width: number;
  height: number;
  addTo: (map: Map) => void;
  close: () => void;
}

/** Draw a geometry on an image. Its coordinates count y from the bottom, as App Engine does. */
export default function Drawing({ image, text, onChange }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const map = useRef<Map | null>(null);
  const source = useRef(new VectorSource());
  const [tool, setTool] = useState<Tool>("Polygon");
  const [problem, setProblem] = useState("");
  const [ready, setReady] = useState(false);
  const size = useRef({ width: 1, height: 1 });
  const write = (): void => {
    const geometries = source.current.getFeatures().flatMap((feature) => feature.getGeometry() ?? []);
    const last = geometries.at(-1);
    if (last) onChange(new GeoJSON({}).writeGeometry(last, { decimals: 2 }));
  };

  useEffect(() => {
    let isOpen = true;
    let picture: Picture | null = null;
    open(image).then(
      (found) => {
        if (!isOpen || !place.current) return found.close();
        picture = found;
        size.current = found;
        const made = makeMap(place.current, viewOf(found));
        map.current = made;
        found.addTo(made);
        made.addLayer(new VectorLayer({ source: source.current, style: STYLE }));
        const modify = new Modify({ source: source.current });
        modify.on("modifyend", write);
        made.addInteraction(modify);
        fit(made, found);
        source.current.addFeatures(featuresOf(shapesOf(text)));
        setReady(true);
      },
      (error: unknown) => setProblem(ApiError.of(error).message),
    );
    return () => {
      isOpen = false;
      picture?.close();
      map.current?.setTarget(undefined);
      map.current = null;
    };
  }, []);
  useEffect(() => {
    const made = map.current;
    if (!made) return undefined;
    const draw = new Draw({
      source: source.current,
      type: tool === "Rectangle" ? "Circle" : tool,
      style: STYLE,
      ...(tool === "Rectangle" ? { geometryFunction: createBox() } : {}),
    });
    draw.on("drawstart", () => source.current.clear());
    draw.on("drawend", () => setTimeout(write));
    made.addInteraction(draw);
    return () => void made.removeInteraction(draw);
  }, [tool, ready]);
  return (
    <div class="drawing">
      <div class="row" role="group" aria-label="What to draw">
        {TOOLS.map(([name, title]) => (
          <button type="button" key={name} aria-pressed={tool === name} onClick={() => setTool(name)}>
            {title}
          </button>
        ))}
        <button
          type="button"
          class="quiet"
          onClick={() => {
            source.current.clear();
            onChange("");
          }}
        >
          Clear
        </button>
        <span class="muted small">Click to add a corner, double-click to end.</span>
      </div>
      {problem ? <p class="problem body">{problem}</p> : <div class="map" ref={place} tabIndex={0} role="application" aria-label="Drawing area" />}
    </div>
  );
}

function shapesOf(text: string): Shape[] {
  try {
    const found = JSON.parse(text) as { type?: string };
    const geometry = found.type === "Feature" ? (found as unknown as Shape).geometry : found;
    return [{ type: "Feature", geometry, properties: { parameter: "", label: "", index: [], image: null, values: {} } } as unknown as Shape];
  } catch {
    return [];
  }
}

async function open(choice: FileChoice): Promise<Picture> {
  if (choice.from === "task") return openTaskImage(choice.url);
  if (choice.from === "server") throw new Error("this image is on the server; choose a file, or start from an earlier task");
  if (choice.file.size > LARGEST) throw new Error("this image is too large to be drawn on before it is sent");
  const url = URL.createObjectURL(choice.file);
  try {
    const { naturalWidth: width, naturalHeight: height } = await loaded(url);
    const source = new Static({ url, imageExtent: extentOf({ width, height }), interpolate: false });
    return {
      width,
      height,
      addTo: (map) => map.addLayer(new ImageLayer({ source })),
      close: () => URL.revokeObjectURL(url),
    };
  } catch {
    URL.revokeObjectURL(url);
    throw new Error("the browser cannot show this image; it shows PNG and JPEG. Run the task once, then start from it");
  }
}

async function openTaskImage(url: string): Promise<Picture> {
  const [, task = "", ...rest] = url.replace(/^\/task/, "").split("/").map(decodeURIComponent);
  const place = rest.join("/");
  const image = await get<ImageDescription>(`${url}/image`);
  return {
    width: image.width,
    height: image.height,
    addTo: (map) => map.addLayer(tileLayer(task, { ...image, place }, FIRST)),
    close: () => undefined,
  };
}

function loaded(url: string): Promise<HTMLImageElement> {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("not an image"));
    image.src = url;
  });
}
