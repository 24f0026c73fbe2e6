import type Feature from "ol/Feature";
import Map from "ol/Map";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import View from "ol/View";
import GeoJSON from "ol/format/GeoJSON";
import type Geometry from "ol/geom/Geometry";
import Circle from "ol/geom/Circle";
import Point from "ol/geom/Point";
import { defaults as defaultInteractions } from "ol/interaction/defaults";
import TileLayer from "ol/layer/Tile";
import VectorLayer from "ol/layer/Vector";
import Projection from "ol/proj/Projection";
import ImageTile from "ol/source/ImageTile";
import VectorSource from "ol/source/Vector";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import TileGrid from "ol/tilegrid/TileGrid";
import { send } from "../api/client";
import { partQuery, type ImageDescription, type Shape, type Shown } from "./types";

export type ShapeFeature = Feature<Geometry>;

/** The extent of an image: the lower left corner is the origin and y grows upwards, as in App Engine. */
export function extentOf(size: { width: number; height: number }): [number, number, number, number] {
  return [0, 0, size.width, size.height];
}

export function viewOf(size: { width: number; height: number }): View {
  const extent = extentOf(size);
  const projection = new Projection({ code: "pixels", units: "pixels", extent });
  const margin = Math.max(size.width, size.height) / 2;
  return new View({
    projection,
    center: [size.width / 2, size.height / 2],
    extent: [-margin, -margin, size.width + margin, size.height + margin],
    resolution: Math.max(size.width, size.height) / 600,
    minResolution: 1 / 32,
    maxResolution: Math.max(size.width, size.height) / 100,
    constrainResolution: false,
    enableRotation: false,
    showFullExtent: true,
  });
}

/** The tiles of an image of a task. Each is fetched with the token, and drawn on a canvas. */
export function tileLayer(task: string, image: ImageDescription, shown: Shown): TileLayer {
  const size = image.tile_size;
  const levels = [...image.levels].sort((a, b) => b.scale - a.scale);
  const range = new URLSearchParams(partQuery(shown));
  if (shown.low !== "") range.set("low", shown.low);
  if (shown.high !== "") range.set("high", shown.high);
  const source = new ImageTile({
    projection: new Projection({ code: "pixels", units: "pixels", extent: extentOf(image) }),
    tileGrid: new TileGrid({
      extent: extentOf(image),
      origin: [0, image.height],
      resolutions: levels.map((level) => level.scale),
      tileSize: size,
    }),
    interpolate: false,
    transition: 0,
    wrapX: false,
    loader: async (z, x, y, options) => {
      const query = new URLSearchParams(range);
      query.set("level", String(levels[z]?.level ?? 0));
      query.set("x", String(x));
      query.set("y", String(y));
      const signal = options.signal;
      const response = await send(`/task/${encodeURIComponent(task)}/${encodedPlace(image.place)}/tile?${query}`, signal ? { signal } : {});
      return onCanvas(await createImageBitmap(await response.blob()), size);
    },
  });
  return new TileLayer({ source, extent: extentOf(image) });
}

/** A tile at the right or lower edge is smaller than the others. */
function onCanvas(bitmap: ImageBitmap, size: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas;
}

export function encodedPlace(place: string): string {
  return place.split("/").map(encodeURIComponent).join("/");
}

/** The colours of geometries: they can be told apart on dark and on bright images. */
export const COLOURS = ["#ffd21f", "#22d3ee", "#ff5db1", "#7ddc4f", "#ff8a1f", "#a78bfa", "#ff6b6b", "#5b9dff"];

export function styleOf(colour: string, options: { strong?: boolean; dash?: number[] } = {}): Style[] {
  const width = options.strong ? 3.5 : 2;
  const dash = options.dash ? { lineDash: options.dash } : {};
  const fill = new Fill({ color: `${colour}${options.strong ? "44" : "14"}` });
  return [
    new Style({ stroke: new Stroke({ color: "rgba(0, 0, 0, 0.55)", width: width + 1.6 }) }),
    new Style({
      stroke: new Stroke({ color: colour, width, ...dash }),
      fill,
      image: new CircleStyle({ radius: options.strong ? 6 : 4.5, fill: new Fill({ color: colour }), stroke: new Stroke({ color: "#000", width: 1 }) }),
    }),
  ];
}

/** The features of geometries in coordinates that grow upwards. A circle is a point with a radius. */
export function featuresOf(shapes: readonly Shape[]): ShapeFeature[] {
  const format = new GeoJSON();
  return shapes.flatMap((shape) => {
    try {
      const feature = format.readFeature(shape) as ShapeFeature;
      const geometry = feature.getGeometry();
      if (shape.properties.subType === "Circle" && shape.properties.radius && geometry instanceof Point) {
        feature.setGeometry(new Circle(geometry.getCoordinates(), shape.properties.radius));
      }
      return [feature];
    } catch {
      return [];
    }
  });
}

export function vectorLayer(features: ShapeFeature[], style: (feature: ShapeFeature) => Style[]): VectorLayer {
  return new VectorLayer({
    source: new VectorSource({ features }),
    style: (feature) => style(feature as ShapeFeature),
    updateWhileInteracting: features.length < 2000,
  });
}

/** A map in an element, without any control: the page has its own. */
export function makeMap(target: HTMLElement, view: View): Map {
  return new Map({
    target,
    view,
    layers: [],
    controls: [],
    interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false }),
  });
}

export function fit(map: Map, size: { width: number; height: number }): void {
  map.getView().fit(extentOf(size), { padding: [8, 8, 8, 8] });
}

/** Show the image at a scale in percent, e.g. 100: one pixel of it is one of the screen. */
export function setScale(map: Map, percent: number): void {
  map.getView().setResolution(100 / percent);
}

export function zoomBy(map: Map, by: number): void {
  const view = map.getView();
  view.setZoom((view.getZoom() ?? 0) + by);
}

export function featureAt(map: Map, event: MapBrowserEvent): ShapeFeature | null {
  return (map.forEachFeatureAtPixel(event.pixel, (feature) => feature as ShapeFeature, { hitTolerance: 4 }) ?? null) as ShapeFeature | null;
}
