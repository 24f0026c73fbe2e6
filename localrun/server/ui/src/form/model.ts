import type { FormParameter, Json, JsonObject, ParameterType, Problem } from "../api/types";

/** A file that the user chose, one of an earlier task, or a path that the server can read. */
export type FileChoice =
  | { from: "browser"; file: File }
  | { from: "task"; url: string; name: string }
  | { from: "server"; path: string };

/** What is entered for an input or an item of an array. Empty text means that it is left out. */
export interface Entry {
  text: string;
  file: FileChoice | null;
  items: Entry[];
}

export type Entries = Record<string, Entry>;

export interface Options {
  cpus: string;
  memory: string;
  gpus: string;
  timeout: string;
  network: boolean;
  replicas: string;
  agree: string;
}

export const NO_OPTIONS: Options = { cpus: "", memory: "", gpus: "", timeout: "", network: false, replicas: "", agree: "" };

export interface Upload {
  /** The address below `/task/ID/inputs/`. */
  path: string;
  choice: FileChoice;
}

export function emptyEntry(): Entry {
  return { text: "", file: null, items: [] };
}

const FILES = new Set(["file", "image"]);

export function takesFile(type: ParameterType): boolean {
  return FILES.has(type.id);
}

/** The type of the items of an array. */
export function itemType(type: ParameterType): ParameterType {
  const inner = type.subtype;
  if (typeof inner === "string") return { id: inner };
  if (inner && typeof inner === "object" && !Array.isArray(inner)) return { id: "string", ...inner } as ParameterType;
  return { id: "string" };
}

/** What the form shows for a JSON value, such as a default or the input of an earlier task. */
export function entryOf(type: ParameterType, value: Json | undefined): Entry {
  const entry = emptyEntry();
  if (value === undefined || value === null) return entry;
  if (type.id === "array") {
    if (Array.isArray(value)) entry.items = value.map((item) => entryOf(itemType(type), item));
    if (!entry.items.length) entry.text = "[]";
    return entry;
  }
  if (takesFile(type)) {
    if (typeof value === "string" && value.startsWith("@")) entry.file = { from: "server", path: value.slice(1) };
    return entry;
  }
  entry.text = typeof value === "string" ? value : JSON.stringify(value);
  return entry;
}

/** The JSON value of an entry; undefined if it is left out. The server validates it. */
export function valueOf(type: ParameterType, entry: Entry): Json | undefined {
  if (type.id === "array") {
    if (!entry.items.length) return entry.text === "[]" ? [] : undefined;
    const inner = itemType(type);
    return entry.items.map((item) => valueOf(inner, item) ?? nothing(inner));
  }
  if (takesFile(type)) return entry.file?.from === "server" ? `@${entry.file.path}` : undefined;
  const text = entry.text;
  if (text === "") return undefined;
  if (type.id === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (type.id === "integer" || type.id === "number") return numberOf(text);
  if (type.id === "geometry") return geometryOf(text);
  return text;
}

/** What stands in a list for an item that is empty. */
function nothing(type: ParameterType): Json {
  if (type.id === "array") return [];
  return type.id === "string" ? "" : null;
}

/** The files that are sent after the task was created: those of inputs, and of items of arrays. */
export function uploadsOf(name: string, type: ParameterType, entry: Entry): Upload[] {
  if (takesFile(type)) return entry.file && entry.file.from !== "server" ? [{ path: encodeURIComponent(name), choice: entry.file }] : [];
  if (type.id !== "array" || !takesFile(itemType(type))) return [];
  const count = entry.items.length;
  return entry.items.flatMap((item, at) =>
    item.file && item.file.from !== "server" ? [{ path: `${encodeURIComponent(name)}/${at}?of=${count}`, choice: item.file }] : [],
  );
}

/** The body of `POST /bundle/REFERENCE/check`. */
export function checkBody(parameters: FormParameter[], entries: Entries, options: Options): JsonObject {
  const inputs: JsonObject = {};
  const uploads: string[] = [];
  for (const parameter of parameters) {
    const entry = entries[parameter.name] ?? emptyEntry();
    const sent = uploadsOf(parameter.name, parameter.type, entry);
    uploads.push(...sent.map((one) => decodeURIComponent(one.path.replace(/\?.*/, ""))));
    if (sent.length) continue;
    const value = valueOf(parameter.type, entry);
    if (value !== undefined) inputs[parameter.name] = value;
  }
  return { inputs, uploads, ...optionsOf(options) };
}

function optionsOf(options: Options): JsonObject {
  const resources: JsonObject = {};
  if (options.cpus) resources.cpus = numberOf(options.cpus);
  if (options.memory) resources.memory = options.memory;
  if (options.gpus) resources.gpus = numberOf(options.gpus);
  const found: JsonObject = {};
  if (Object.keys(resources).length) found.resources = resources;
  if (options.timeout) found.timeout = options.timeout;
  if (options.network) found.network = true;
  if (options.replicas) found.replicas = numberOf(options.replicas);
  if (options.agree) found.agree = numberOf(options.agree);
  return found;
}

/** The options of a task object, to prefill the form. */
export function optionsFrom(task: JsonObject): Options {
  const resources = (task.resources ?? {}) as JsonObject;
  const text = (value: Json | undefined): string => (value === undefined || value === null ? "" : String(value));
  return {
    cpus: text(resources.cpus),
    memory: text(resources.memory),
    gpus: text(resources.gpus),
    timeout: text(task.timeout),
    network: task.network === true,
    replicas: text(task.replicas),
    agree: text(task.agree),
  };
}

/** The problems of a path such as `inputs.images` and of what is in it, such as `inputs.images[2]`. */
export function problemsOf(problems: Problem[], path: string): Problem[] {
  return problems.filter(
    (one) => one.path === path || one.path.startsWith(`${path}.`) || one.path.startsWith(`${path}[`) || one.path.startsWith(`${path}/`),
  );
}

/** A number where the text is one, or else the text: the server says what is wrong with it. */
function numberOf(text: string): Json {
  const trimmed = text.trim();
  if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(trimmed)) return text;
  const value = Number(trimmed);
  // beyond 2^53 a number would change: the server gets the digits
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? text : value;
}

function geometryOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
