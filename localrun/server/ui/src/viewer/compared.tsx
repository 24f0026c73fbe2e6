import type OlMap from "ol/Map";
import type View from "ol/View";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, send } from "../api/client";
import { useGet } from "../api/hooks";
import type { Compared } from "../files/compare-files";
import { Skeleton } from "../components/notice";
import { plural } from "../model/format";
import { COLOURS, encodedPlace, featuresOf, fit, makeMap, styleOf, tileLayer, vectorLayer, viewOf } from "./image-map";
import { difference } from "./difference";
import { Parts, Swatch } from "./viewer";
import { FIRST, partQuery, type ImageDescription, type Shapes, type Shown, type TaskImages } from "./types";

const COMPARED = 1024; // pixels of the longer side of the images whose difference is shown

/** Two images that move together, and their difference. */
export function ComparedImages({ first, second }: Compared) {
  const [shown, setShown] = useState<Shown>(FIRST);
  const a = useGet<ImageDescription>(imagePath(first));
  const b = useGet<ImageDescription>(imagePath(second));
  const view = useRef<View | null>(null);
  if (a.error || b.error) return <p class="problem">{(a.error ?? b.error)?.message}</p>;
  if (!a.data || !b.data) return <Skeleton rows={4} height={40} />;
  view.current ??= viewOf({ width: Math.max(a.data.width, b.data.width), height: Math.max(a.data.height, b.data.height) });
  const frames = Math.min(a.data.frames, b.data.frames);
  const more = Math.max(a.data.frames, b.data.frames) - frames;
  const both = { ...a.data, frames, channels: Math.min(a.data.channels, b.data.channels) };
  const part = `${shown.frame},${shown.channel}`;
  return (
    <>
      <div class="viewer-tools">
        <Parts image={both} shown={shown} onChange={setShown} />
        {more > 0 && (
          <span class="problem">
            {a.data.frames > frames ? "A" : "B"} has {plural(more, "more frame")}
          </span>
        )}
      </div>
      <div class="side-by-side">
        <Picture title="A" task={first.task} image={a.data} view={view.current} shown={shown} />
        <Picture title="B" task={second.task} image={b.data} view={view.current} shown={shown} />
        <Difference key={part} first={first} second={second} shown={shown} />
      </div>
    </>
  );
}

interface PictureProps {
  title: string;
  task: string;
  image: ImageDescription;
  view: View;
  shown: Shown;
}

function Picture({ title, task, image, view, shown }: PictureProps) {
  const place = useRef<HTMLDivElement>(null);
  const map = useRef<OlMap | null>(null);
  useEffect(() => {
    if (!place.current) return undefined;
    const made = makeMap(place.current, view);
    map.current = made;
    fit(made, image);
    return () => made.setTarget(undefined);
  }, []);
  useEffect(() => {
    const layer = tileLayer(task, image, shown);
    map.current?.addLayer(layer);
    return () => void map.current?.removeLayer(layer);
  }, [shown.frame, shown.channel]);
  return (
    <figure>
      <figcaption>
        {title}: {image.width} x {image.height}
      </figcaption>
      <div class="map" ref={place} tabIndex={0} role="application" aria-label={`Image of ${title}: arrow keys move both`} />
    </figure>
  );
}

function Difference({ first, second, shown }: Compared & { shown: Shown }) {
  const place = useRef<HTMLCanvasElement>(null);
  const [text, setText] = useState("comparing");
  useEffect(() => {
    const abort = new AbortController();
    Promise.all([pixels(first, shown, abort.signal), pixels(second, shown, abort.signal)]).then(
      ([a, b]) => {
        if (a.width !== b.width || a.height !== b.height) return setText("the images have different sizes");
        const found = difference(a.data, b.data);
        const canvas = place.current;
        if (canvas) {
          canvas.width = a.width;
          canvas.height = a.height;
          canvas.getContext("2d")?.putImageData(new ImageData(found.data, a.width, a.height), 0, 0);
        }
        const part = (found.changed / (a.width * a.height)) * 100;
        setText(found.changed === 0 ? "no pixel differs" : `${part < 0.01 ? "less than 0.01" : part.toFixed(2)} % of the pixels, by up to ${found.most}`);
      },
      (error: unknown) => !abort.signal.aborted && setText(ApiError.of(error).message),
    );
    return () => abort.abort();
  }, []);
  return (
    <figure>
      <figcaption>
        <span role="status">Difference: {text}</span>
      </figcaption>
      <canvas class="difference-image" ref={place} aria-label={`Difference: ${text}`} role="img" />
    </figure>
  );
}

async function pixels(one: Compared["first"], shown: Shown, signal: AbortSignal): Promise<ImageData> {
  const part = partQuery(shown).replace("?", "&");
  const response = await send(`/task/${encodeURIComponent(one.task)}/${encodedPlace(one.place)}/preview?max=${COMPARED}${part}`, { signal });
  const bitmap = await createImageBitmap(await response.blob());
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("the browser cannot compare images");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** The geometries of both tasks on the image of the first. */
export function ComparedShapes({ first, second }: Compared) {
  const images = useGet<TaskImages>(`/task/${encodeURIComponent(first.task)}/images`);
  const known = images.data?.geometries.find((one) => one.parameter === first.place)?.images[0];
  const place = known ?? images.data?.images[0]?.place ?? null;
  const image = useGet<ImageDescription>(place ? imagePath({ task: first.task, place }) : null);
  const a = useGet<Shapes>(shapesPath(first));
  const b = useGet<Shapes>(shapesPath(second));
  const error = images.error ?? image.error ?? a.error ?? b.error;
  if (error) return <p class="problem">{error.message}</p>;
  if (images.data && !place) return <p class="muted">The tasks have no image to draw on.</p>;
  if (!image.data || !a.data || !b.data) return <Skeleton rows={4} height={40} />;
  return <BothShapes task={first.task} image={image.data} a={a.data} b={b.data} />;
}

function BothShapes({ task, image, a, b }: { task: string; image: ImageDescription; a: Shapes; b: Shapes }) {
  const place = useRef<HTMLDivElement>(null);
  const [one = "#ffd21f", two = "#22d3ee"] = COLOURS;
  useEffect(() => {
    if (!place.current) return undefined;
    const map = makeMap(place.current, viewOf(image));
    map.addLayer(tileLayer(task, image, FIRST));
    map.addLayer(vectorLayer(featuresOf(a.features), () => styleOf(one)));
    map.addLayer(vectorLayer(featuresOf(b.features), () => styleOf(two, { dash: [7, 5] })));
    fit(map, image);
    return () => map.setTarget(undefined);
  }, []);
  return (
    <div class="side-by-side">
      <figure>
        <figcaption>
          <span>
            <Swatch colour={one} /> A, solid: {a.features.length}
          </span>
          <span>
            <Swatch colour={two} /> B, dashed: {b.features.length}
          </span>
        </figcaption>
        <div class="map" ref={place} tabIndex={0} role="application" aria-label="Geometries of both tasks" />
      </figure>
    </div>
  );
}

function imagePath(one: Compared["first"]): string {
  return `/task/${encodeURIComponent(one.task)}/${encodedPlace(one.place)}/image`;
}

function shapesPath(one: Compared["first"]): string {
  return `/task/${encodeURIComponent(one.task)}/geometries?y=up&parameter=${encodeURIComponent(one.place)}`;
}
