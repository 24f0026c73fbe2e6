import type { Json, JsonObject } from "../api/types";

export interface ImageEntry {
  place: string;
  label: string;
  url: string;
  width: number | null;
  height: number | null;
}

export interface GeometryEntry {
  parameter: string;
  count: number;
  images: string[];
}

export interface TaskImages {
  task_id: string;
  images: ImageEntry[];
  geometries: GeometryEntry[];
  omitted: number;
}

export interface Level {
  level: number;
  scale: number;
  width: number;
  height: number;
  columns: number;
  rows: number;
}

export interface ImageDescription {
  place: string;
  label: string;
  format: string;
  width: number;
  height: number;
  channels: number;
  bits: number;
  color: string;
  frames: number;
  tile_size: number;
  levels: Level[];
  range: { low: number; high: number; from: string } | null;
  notes: string[];
  geometries: { parameter: string; count: number; offset: number[] }[];
}

export interface Shape {
  type: "Feature";
  geometry: { type: string; coordinates: Json };
  properties: {
    parameter: string;
    label: string;
    index: number[];
    image: string | null;
    values: JsonObject;
    subType?: string;
    radius?: number;
    simplified?: boolean;
  };
}

export interface Shapes {
  type: "FeatureCollection";
  image: { place: string; width: number; height: number } | null;
  y: "up" | "down";
  features: Shape[];
  omitted: { features: number; vertices: number; reasons: string[] };
}

/** What is shown of an image: the values of black and white, a frame, and one channel instead of the colours. */
export interface Shown {
  low: string;
  high: string;
  frame: number;
  channel: number | null;
}

export const FIRST: Shown = { low: "", high: "", frame: 0, channel: null };

/** The query of the image itself: `?frame=2`. */
export function partQuery({ frame, channel }: Pick<Shown, "frame" | "channel">): string {
  const query = new URLSearchParams();
  if (frame > 0) query.set("frame", String(frame));
  if (channel !== null) query.set("channel", String(channel));
  return query.size ? `?${query}` : "";
}
