import type Map from "ol/Map";
import type TileLayer from "ol/layer/Tile";
import type VectorLayer from "ol/layer/Vector";
import { useEffect, useRef, useState } from "preact/hooks";
import { download, get } from "../api/client";
import { useGet } from "../api/hooks";
import { Icon } from "../components/icon";
import { ErrorNotice, Skeleton } from "../components/notice";
import { number, plural } from "../model/format";
import {
  COLOURS,
  encodedPlace,
  featureAt,
  featuresOf,
  fit,
  makeMap,
  setScale,
  styleOf,
  tileLayer,
  vectorLayer,
  viewOf,
  zoomBy,
  type ShapeFeature,
} from "./image-map";
import { ShapeTable } from "./shape-table";
import { FIRST, partQuery, type ImageDescription, type Shape, type Shapes, type Shown, type TaskImages } from "./types";

const MAX_CHANNELS = 200; // in the list

interface Props {
  task: string;
  images: TaskImages;
  /** The image or the geometries to show first: `outputs/mask`, `outputs/outlines`. */
  first: string;
}

/** An image of a task with the geometries that belong to it. */
export default function Viewer({ task, images, first }: Props) {
  const [place, setPlace] = useState(() => firstImage(images, first));
  const [overlay, setOverlay] = useState("");
  const [opacity, setOpacity] = useState(50);
  const [shown, setShown] = useState<Shown>(FIRST);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const base = `/task/${encodeURIComponent(task)}`;
  const image = useGet<ImageDescription>(place ? `${base}/${encodedPlace(place)}/image${partQuery(shown)}` : null);
  // the map stays while another frame of its image is loaded
  const last = useRef<ImageDescription | null>(null);
  if (image.data) last.current = image.data;
  const described = image.data ?? (last.current?.place === place ? last.current : null);
  const shapes = useGet<Shapes>(place ? `${base}/geometries?image=${encodeURIComponent(place)}&y=up` : null);
  const parameters = [...new Set((shapes.data?.features ?? []).map((shape) => shape.properties.parameter))];
  const colourOf = (parameter: string): string => COLOURS[Math.max(0, parameters.indexOf(parameter)) % COLOURS.length] ?? "#ffd21f";
  const [chosen, setChosen] = useState<Shape | null>(null);
  const open = (other: string): void => {
    setPlace(other);
    setShown(FIRST);
  };
  const entry = images.images.find((one) => one.place === place);
  return (
    <div class="viewer">
      <div class="viewer-tools">
        <label>
          Image{" "}
          <select value={place} onChange={(event) => open(event.currentTarget.value)}>
            {images.images.map((one) => (
              <option key={one.place} value={one.place}>
                {one.label || one.place}
              </option>
            ))}
          </select>
        </label>
        {images.images.length > 1 && (
          <label>
            Overlay{" "}
            <select value={overlay} onChange={(event) => setOverlay(event.currentTarget.value)}>
              <option value="">none</option>
              {images.images
                .filter((one) => one.place !== place)
                .map((one) => (
                  <option key={one.place} value={one.place}>
                    {one.label || one.place}
                  </option>
                ))}
            </select>
          </label>
        )}
        {overlay && (
          <input type="range" min={0} max={100} value={opacity} aria-label="Opacity of the overlay" onInput={(event) => setOpacity(Number(event.currentTarget.value))} />
        )}
        {described && <Parts image={described} shown={shown} onChange={setShown} />}
        {described?.range && <Range range={described.range} shown={shown} onChange={setShown} />}
        {parameters.map((parameter) => {
          const count = (shapes.data?.features ?? []).filter((shape) => shape.properties.parameter === parameter).length;
          return (
            <label key={parameter} class="layer">
              <input
                type="checkbox"
                checked={!hidden.has(parameter)}
                onChange={() => setHidden((old) => toggled(old, parameter))}
              />
              <Swatch colour={colourOf(parameter)} />
              {parameter.split("/").slice(1).join("/")} ({count.toLocaleString("en")})
            </label>
          );
        })}
      </div>
      {image.error && <ErrorNotice error={image.error} retry={image.reload} />}
      {!place && <p class="empty">There is no image to show.</p>}
      {place && !described && !image.error && <Skeleton rows={6} height={40} />}
      {described && (
        <MapArea
          key={place}
          task={task}
          image={described}
          overlay={overlay}
          opacity={opacity / 100}
          shown={shown}
          shapes={(shapes.data?.features ?? []).filter((shape) => !hidden.has(shape.properties.parameter))}
          colourOf={colourOf}
          chosen={chosen}
          onChoose={setChosen}
        />
      )}
      <div class="viewer-foot small">
        {described && <span class="muted">{describe(described)}</span>}
        {described?.notes.map((note) => (
          <span key={note} class="muted">
            {note}
          </span>
        ))}
        {shapes.error && <span class="problem">{shapes.error.message}</span>}
        {shapes.data?.omitted.reasons.map((reason) => (
          <span key={reason} class="problem">
            Not drawn: {reason}
          </span>
        ))}
        {(shapes.data?.omitted.vertices ?? 0) > 0 && (
          <span class="problem">Simplified: {plural(shapes.data?.omitted.vertices ?? 0, "vertex").replace("vertexs", "vertices")} left out</span>
        )}
        {entry && (
          <button type="button" class="quiet push" onClick={() => void download(entry.url, entry.place.replaceAll("/", "-"))}>
            <Icon name="download" />
            Download
          </button>
        )}
      </div>
      {shapes.data && shapes.data.features.length > 0 && <ShapeTable shapes={shapes.data.features} chosen={chosen} onChoose={setChosen} />}
    </div>
  );
}

interface MapProps {
  task: string;
  image: ImageDescription;
  overlay: string;
  opacity: number;
  shown: Shown;
  shapes: Shape[];
  colourOf: (parameter: string) => string;
  chosen: Shape | null;
  onChoose: (shape: Shape | null) => void;
}

function MapArea({ task, image, overlay, opacity, shown, shapes, colourOf, chosen, onChoose }: MapProps) {
  const place = useRef<HTMLDivElement>(null);
  const map = useRef<Map | null>(null);
  const drawn = useRef<{ layer: VectorLayer; shapes: WeakMap<ShapeFeature, Shape>; features: WeakMap<Shape, ShapeFeature> } | null>(null);
  const over = useRef<TileLayer | null>(null);
  const [hovered, setHovered] = useState<{ shape: Shape; x: number; y: number } | null>(null);
  const [at, setAt] = useState<[number, number] | null>(null);
  const active = useRef<Shape | null>(null);
  active.current = hovered?.shape ?? chosen;

  useEffect(() => {
    if (!place.current) return undefined;
    const made = makeMap(place.current, viewOf(image));
    map.current = made;
    fit(made, image);
    made.on("pointermove", (event) => {
      if (event.dragging) return setHovered(null);
      const feature = featureAt(made, event);
      const shape = feature ? drawn.current?.shapes.get(feature) : undefined;
      setHovered(shape ? { shape, x: event.pixel[0] ?? 0, y: event.pixel[1] ?? 0 } : null);
      const [x = 0, y = 0] = event.coordinate;
      setAt([x, y]);
    });
    made.on("click", (event) => {
      const feature = featureAt(made, event);
      onChoose((feature && drawn.current?.shapes.get(feature)) || null);
    });
    return () => {
      made.setTarget(undefined);
      made.dispose();
      map.current = null;
    };
  }, []);
  useEffect(() => {
    const layer = tileLayer(task, image, shown);
    layer.setZIndex(0);
    map.current?.addLayer(layer);
    return () => void map.current?.removeLayer(layer);
  }, [shown.low, shown.high, shown.frame, shown.channel]);
  useEffect(() => {
    if (!overlay) return undefined;
    const abort = new AbortController();
    get<ImageDescription>(`/task/${encodeURIComponent(task)}/${encodedPlace(overlay)}/image`, abort.signal).then(
      (found) => {
        // a stack of masks belongs to a stack of images
        const layer = tileLayer(task, found, { ...FIRST, frame: found.frames === image.frames ? shown.frame : 0 });
        layer.setZIndex(1);
        layer.setOpacity(opacity);
        over.current = layer;
        map.current?.addLayer(layer);
      },
      () => undefined,
    );
    return () => {
      abort.abort();
      if (over.current) map.current?.removeLayer(over.current);
      over.current = null;
    };
  }, [overlay, shown.frame]);
  useEffect(() => over.current?.setOpacity(opacity), [opacity]);
  const key = shapes.map((shape) => shape.properties.parameter).join() + shapes.length;
  useEffect(() => {
    const known = new WeakMap<ShapeFeature, Shape>();
    const features = new WeakMap<Shape, ShapeFeature>();
    const list = shapes.flatMap((shape) => {
      const made = featuresOf([shape]);
      for (const feature of made) {
        known.set(feature, shape);
        features.set(shape, feature);
      }
      return made;
    });
    const styles = new globalThis.Map<string, ReturnType<typeof styleOf>>();
    const layer = vectorLayer(list, (feature) => {
      const shape = known.get(feature);
      const colour = colourOf(shape?.properties.parameter ?? "");
      const strong = shape !== undefined && shape === active.current;
      const name = `${colour}${strong}`;
      const style = styles.get(name) ?? styleOf(colour, { strong });
      styles.set(name, style);
      return style;
    });
    layer.setZIndex(2);
    drawn.current = { layer, shapes: known, features };
    map.current?.addLayer(layer);
    return () => void map.current?.removeLayer(layer);
  }, [key]);
  useEffect(() => drawn.current?.layer.changed(), [hovered?.shape, chosen]);
  useEffect(() => {
    const extent = chosen && drawn.current?.features.get(chosen)?.getGeometry()?.getExtent();
    const view = map.current?.getView();
    const size = map.current?.getSize();
    if (!extent || !view || !size || hovered) return;
    const visible = view.calculateExtent(size);
    const isInside = extent[0]! >= visible[0]! && extent[1]! >= visible[1]! && extent[2]! <= visible[2]! && extent[3]! <= visible[3]!;
    if (!isInside) view.fit(extent, { padding: [60, 60, 60, 60], maxZoom: 8 });
  }, [chosen]);
  const info = hovered?.shape ?? chosen;
  return (
    <div class="map-frame">
      <div class="map" ref={place} tabIndex={0} role="application" aria-label={`${image.label || image.place}: arrow keys move, plus and minus zoom`} onMouseLeave={() => setHovered(null)} />
      <div class="map-buttons">
        <button type="button" onClick={() => map.current && zoomBy(map.current, 1)} aria-label="Zoom in">
          +
        </button>
        <button type="button" onClick={() => map.current && zoomBy(map.current, -1)} aria-label="Zoom out">
          −
        </button>
        <button type="button" onClick={() => map.current && fit(map.current, image)}>
          Fit
        </button>
        <button type="button" onClick={() => map.current && setScale(map.current, 100)} title="One pixel of the image is one of the screen">
          1:1
        </button>
      </div>
      {at && at[0] >= 0 && at[1] >= 0 && at[0] <= image.width && at[1] <= image.height && (
        <span class="map-position mono" title="x from the left, y from the bottom, as in GeoJSON for App Engine">
          x {Math.floor(at[0])} y {Math.floor(at[1])}
        </span>
      )}
      {info && <ShapeInfo shape={info} />}
    </div>
  );
}

/** The index of a geometry, and the values of parallel arrays at it. */
function ShapeInfo({ shape }: { shape: Shape }) {
  const { label, parameter, index, values } = shape.properties;
  return (
    <div class="shape-info">
      <strong>
        {label || parameter}
        {index.length > 0 && ` [${index.join("][")}]`}
      </strong>
      {Object.entries(values).map(([name, value]) => (
        <div key={name}>
          <span class="muted">{name}</span> {typeof value === "number" ? number(value) : typeof value === "string" ? value : JSON.stringify(value)}
        </div>
      ))}
    </div>
  );
}

/** The frame, and the channel, of an image with more than one of them. */
export function Parts({ image, shown, onChange }: { image: ImageDescription; shown: Shown; onChange: (shown: Shown) => void }) {
  const { frames, channels } = image;
  return (
    <>
      {frames > 1 && (
        <label class="frames">
          Frame {shown.frame + 1} of {frames.toLocaleString("en")}{" "}
          <input
            type="range"
            min={1}
            max={frames}
            value={shown.frame + 1}
            aria-label="Frame"
            aria-valuetext={`${shown.frame + 1} of ${frames}`}
            onInput={(event) => onChange({ ...shown, frame: Number(event.currentTarget.value) - 1 })}
          />
        </label>
      )}
      {channels > 1 && (
        <label>
          Channel{" "}
          <select
            value={shown.channel ?? ""}
            onChange={(event) => onChange({ ...FIRST, frame: shown.frame, channel: event.currentTarget.value === "" ? null : Number(event.currentTarget.value) })}
          >
            <option value="">default</option>
            {Array.from({ length: Math.min(channels, MAX_CHANNELS) }, (_, at) => (
              <option key={at} value={at}>
                {at + 1}
              </option>
            ))}
          </select>
        </label>
      )}
    </>
  );
}

function Range({ range, shown, onChange }: { range: { low: number; high: number }; shown: Shown; onChange: (shown: Shown) => void }) {
  return (
    <span class="range-fields">
      <label>
        Black{" "}
        <input type="text" inputMode="decimal" size={6} value={shown.low} placeholder={number(range.low)} onChange={(event) => onChange({ ...shown, low: decimal(event.currentTarget.value) })} />
      </label>
      <label>
        White{" "}
        <input type="text" inputMode="decimal" size={6} value={shown.high} placeholder={number(range.high)} onChange={(event) => onChange({ ...shown, high: decimal(event.currentTarget.value) })} />
      </label>
    </span>
  );
}

export function Swatch({ colour }: { colour: string }) {
  return <span class="swatch" aria-hidden="true" style={{ background: colour }} />;
}

function decimal(text: string): string {
  return Number.isFinite(Number(text)) ? text.trim() : "";
}

function toggled(old: ReadonlySet<string>, one: string): ReadonlySet<string> {
  const next = new Set(old);
  if (!next.delete(one)) next.add(one);
  return next;
}

/** The image itself, or the one that geometries belong to. */
function firstImage(images: TaskImages, first: string): string {
  const own = images.images.find((one) => one.place === first || one.place.startsWith(`${first}/`));
  if (own) return own.place;
  const geometry = images.geometries.find((one) => one.parameter === first);
  const known = geometry?.images.find((place) => images.images.some((one) => one.place === place));
  return known ?? images.images[0]?.place ?? "";
}

function describe(image: ImageDescription): string {
  const frames = image.frames > 1 ? `, ${image.frames} frames` : "";
  return `${image.width.toLocaleString("en")} x ${image.height.toLocaleString("en")} pixels, ${image.format}, ${image.color || plural(image.channels, "channel")}, ${image.bits} bits${frames}`;
}
