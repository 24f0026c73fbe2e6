import type { Parameter, ParameterType, TaskView } from "../api/types";

export function isImage(parameter: Parameter): boolean {
  return parameter.kind === "image" || subtype(parameter.type) === "image";
}

export function isGeometry(parameter: Parameter): boolean {
  return parameter.kind === "geometry" || subtype(parameter.type) === "geometry";
}

/** The id of the type of the items of an array. */
export function subtype(type: ParameterType): string {
  const inner = type.subtype;
  if (typeof inner === "string") return inner;
  if (inner && typeof inner === "object" && !Array.isArray(inner)) return String(inner.id ?? "");
  return "";
}

/** The parameter of a path such as `outputs/mask`. */
export function findParameter(view: TaskView, path: string): Parameter | null {
  const [direction, ...rest] = path.split("/");
  const list = direction === "inputs" ? view.inputs : view.outputs;
  return list.find((one) => one.name === rest.join("/")) ?? null;
}
