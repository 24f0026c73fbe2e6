import type { Json, ParameterType } from "../api/types";
import { bytes, number, plural } from "./format";

/** The limits of a type as a person would say them: `1 to 255`, `format png, at most 4096 x 4096 pixels`. */
export function constraintOf(type: ParameterType): string {
  const found = [range(type), size(type, "length", "character"), formats(type), dimensions(type), fileSize(type), words(type)];
  if (type.id === "array") {
    const inner = type.subtype;
    const item: ParameterType = typeof inner === "string" ? { id: inner } : { id: "", ...(inner as object) };
    const items = constraintOf(item);
    found.push(size(type, "size", "item"), items && `each ${items}`);
  }
  return found.filter(Boolean).join(", ");
}

function range(type: ParameterType): string {
  const { geq, gt, leq, lt } = type;
  if (isNumber(geq) && isNumber(leq)) return `${number(geq)} to ${number(leq)}`;
  const low = isNumber(geq) ? `at least ${number(geq)}` : isNumber(gt) ? `more than ${number(gt)}` : "";
  const high = isNumber(leq) ? `at most ${number(leq)}` : isNumber(lt) ? `less than ${number(lt)}` : "";
  const special = [type.infinity_allowed && "infinity", type.nan_allowed && "NaN"].filter(Boolean).join(" and ");
  return [[low, high].filter(Boolean).join(" and "), special && `${special} allowed`].filter(Boolean).join(", ");
}

function size(type: ParameterType, what: string, noun: string): string {
  const low = type[`min_${what}`];
  const high = type[`max_${what}`];
  if (isNumber(low) && low > 0 && isNumber(high)) return low === high ? plural(low, noun) : `${low} to ${plural(high, noun)}`;
  if (isNumber(low) && low > 0) return `at least ${plural(low, noun)}`;
  return isNumber(high) && high < 100_000 ? `at most ${plural(high, noun)}` : "";
}

function formats(type: ParameterType): string {
  return Array.isArray(type.formats) ? `format ${type.formats.join(" or ")}` : "";
}

function dimensions(type: ParameterType): string {
  const { max_width: width, max_height: height } = type;
  if (isNumber(width) && isNumber(height)) return `at most ${width} x ${height} pixels`;
  if (isNumber(width)) return `at most ${width} pixels wide`;
  return isNumber(height) ? `at most ${height} pixels high` : "";
}

function fileSize(type: ParameterType): string {
  return isNumber(type.max_file_size) ? `at most ${bytes(type.max_file_size)}` : "";
}

function words(type: ParameterType): string {
  return type.id === "enumeration" && Array.isArray(type.values) ? `one of ${type.values.join(", ")}` : "";
}

function isNumber(value: Json | undefined): value is number {
  return typeof value === "number";
}
