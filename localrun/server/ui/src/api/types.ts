/** The JSON of the HTTP API, as far as the page uses it. */

export type State =
  | "CREATED"
  | "PROVISIONED"
  | "QUEUING"
  | "QUEUED"
  | "PENDING"
  | "RUNNING"
  | "FINISHED"
  | "FAILED"
  | "KILLED";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
export const STATES: readonly State[] = [
  "CREATED",
  "PROVISIONED",
  "QUEUING",
  "QUEUED",
  "PENDING",
  "RUNNING",
  "FINISHED",
  "FAILED",
  "KILLED",
];

export function isFinal(state: State): boolean {
  return state === "FINISHED" || state === "FAILED" || state === "KILLED";
}

export interface Value {
  name: string;
  text?: string;
  file?: boolean;
}

/** A task in a list: `ROW` of the API. */
export interface Row {
  id: string;
  name: string;
  bundle: string;
  kind: "container" | "replicated" | "manual";
  state: State;
  final: boolean;
  step: string | null;
  cause: string | null;
  message: string;
  assigned_by: string;
  created: number | null;
  started: number | null;
  ended: number | null;
  seconds: number | null;
  cpus: number | null;
  memory_limit: number | null;
  memory: number | null;
  memory_peak: number | null;
  exit_code: number | null;
  replica_of: string | null;
  replica: number | null;
  replicas: number;
  warnings: number;
  problems: number;
  values: Value[];
  metadata?: JsonObject;
  batch?: { id: string; row: number; name: string } | null;
  node?: string | null;
  image: { direction: string; name: string } | null;
}

export type Counts = Partial<Record<State, number>>;

export interface Page {
  tasks: Row[];
  counts: Counts;
  matching: number;
  total: number;
  offset: number;
  event_id: string;
  time: number;
}

export interface Problem {
  path: string;
  message: string;
  remedy?: string | null;
  input?: string | null;
  index?: number | null;
}

export interface ParameterType {
  id: string;
  [key: string]: Json | undefined;
}

export type Kind = "scalar" | "text" | "image" | "geometry" | "file" | "array";

export interface FileLink {
  name: string;
  index: number | null;
  size: number | null;
  url: string;
}

export interface Parameter {
  name: string;
  display_name: string;
  description: string;
  type: ParameterType;
  optional: boolean;
  constraint: string;
  value: Json;
  cut?: boolean;
  kind: Kind;
  problems: Problem[];
  files: FileLink[];
  count: number | null;
  files_omitted: number;
  region: JsonObject | null;
  crop: JsonObject | null;
  /** Where the value of an input comes from: an output of another task. */
  sources?: { place: string; text: string; task?: string }[];
  missing: boolean;
}

export interface Sample {
  time: number;
  cpu_seconds: number;
  cpus: number | null;
  memory: number;
  memory_peak: number;
  read_bytes: number;
  written_bytes: number;
  pids: number;
}

export interface Timeline {
  start: number | null;
  end: number | null;
  now: number;
  states: { state: State; start: number; end: number | null }[];
  steps: { name: string; how: string; start: number | null; end: number | null; exit_code: number | null; message: string }[];
  timings: { name: string; seconds: number }[];
  marks: { time: number; kind: string; message: string }[];
  log: [number, number][];
}

export interface TaskEvent {
  type: string;
  reason: string;
  from: string;
  message: string;
  time: number | null;
  first: number | null;
  count: number;
}

export interface Disagreement {
  path: string;
  variants?: { replicas: number[]; kind: string; size: number | null; value: string }[];
  offset: number | null;
  line: number;
  column: number;
  hints: string[];
}

export interface Replicas {
  parent: string | null;
  agree: number | null;
  reached: number | null;
  tasks: Row[];
  groups: { replicas: number[]; digest: string }[];
  failed: Record<string, string>;
  varied: Record<string, string[]>;
  unvaried: Record<string, string>;
  disagreements: Disagreement[];
  omitted: number;
}

export interface TaskView {
  row: Row;
  task: JsonObject;
  headline: {
    state: State;
    cause: string | null;
    explanation: string;
    message: string;
    remedy: string;
    owner: string | null;
  };
  actions: { kill: boolean; rerun: boolean; remove: boolean; complete: boolean; rerun_problem: string };
  timeline: Timeline;
  usage: { samples: Sample[]; last: number | null; memory_limit: number | null; cpus: number | null; total: JsonObject | null };
  disk: Record<string, number | null>;
  log: { size: number; url: string };
  inputs: Parameter[];
  outputs: Parameter[];
  problems: Problem[];
  warnings: string[];
  events: TaskEvent[];
  replicas: Replicas | null;
  commands: { run: string; curl: string; docker: string };
  submission: JsonObject | null;
  bundle: { reference: string | null };
  event_id: string;
}

export interface LogEntry {
  line: number;
  byte: number;
  stream: string;
  text: string;
  time?: number | null;
  cut?: boolean;
}

export interface LogPage {
  size: number;
  lines: number;
  complete: boolean;
  start: { line: number; byte: number };
  end: { line: number; byte: number };
  entries: LogEntry[];
}

export interface LogMatches {
  size: number;
  lines: number;
  matches: (LogEntry & { column: number })[];
  more: boolean;
  next: number | null;
}

export interface BundleEntry {
  name: string;
  title: string;
  path: string | null;
  reference: string;
  description: string;
  inputs: number;
  outputs: number;
  uploaded: boolean;
}

export interface FormParameter {
  name: string;
  display_name: string;
  description: string;
  type: ParameterType;
  optional: boolean;
  default?: Json;
  has_default: boolean;
  constraint: string;
  kind: Kind;
  matching: string[];
  derived_from: string | null;
}

export interface Bundle {
  reference: string;
  name: string;
  title: string;
  namespace: string;
  version: string;
  description: string;
  resources: { cpus: number | null; memory: number | null; gpus: number; internet?: boolean };
  inputs: FormParameter[];
  outputs: FormParameter[];
  warnings: string[];
}

export interface Check {
  valid: boolean;
  problems: Problem[];
  missing: string[];
  warnings: string[];
  commands: { run: string; curl: string };
  submission: JsonObject;
}

export interface QueueEntry {
  task_id: string;
  name: string | null;
  cpus: number;
  memory: number;
  gpus: number;
  since: number | null;
  pid: number | null;
  host: string;
  uid: number | null;
  mine: boolean;
  state: State | null;
  position?: number;
  reason?: string;
  shortages?: { resource: string; requested: number; free: number }[];
  blocked_by?: string | null;
}

export interface Amount {
  cpus: number;
  memory: number;
  gpus: number;
}

export interface Queue {
  host: {
    cpu_percent: number | null;
    cpus: number;
    memory: { total: number; available: number; used: number; percent: number; limit_percent: number };
    disks: { path: string; total: number; used: number; free: number; percent: number; limit_percent: number; reserve?: number; stop_percent?: number }[];
  };
  engine: { available: boolean; name?: string; version?: string; error?: string; remedy?: string };
  capacity: Amount | null;
  reserved: Amount | null;
  free: Amount | null;
  running: QueueEntry[];
  waiting: QueueEntry[];
  ledger: string;
  time: number;
}

export interface Difference {
  section: string;
  path: string;
  first: Json;
  second: Json;
  note: string;
  details: string[];
}

export interface ComparedParameter {
  name: string;
  kind: Kind;
  type: ParameterType;
  a: Parameter | null;
  b: Parameter | null;
  same: boolean;
  delta?: number | null;
  lines?: string[];
}

export interface Diff {
  a: Row;
  b: Row;
  same: boolean;
  differences: Difference[];
  sections: string[];
  timings: Record<string, [number | null, number | null]>;
  usage: (JsonObject | null)[];
  inputs: ComparedParameter[];
  outputs: ComparedParameter[];
}

export interface JournalLine {
  timestamp: string;
  event_type: string;
  request_id: string | null;
  action: string | null;
  data: JsonObject | null;
  metadata: JsonObject | null;
}

/** The data of an event of `/events`. */
export interface LiveEvent {
  kind: string;
  task_id: string;
  message?: string;
  data?: JsonObject;
  time: number;
  task?: Row;
}

export type BatchState = "running" | "ended" | "stopped" | "cancelled";

/** A batch: `batch` of `GET /batch/ID`. */
export interface Batch {
  batch_id: string;
  name: string;
  bundle: string;
  state: BatchState;
  created: number;
  ended: number | null;
  total: number;
  counts: Counts;
  invalid: number;
  nodes: Record<string, number>;
  assigned_by: string;
  can_cancel: boolean;
  can_resume: boolean;
  can_rerun: boolean;
  error: string | null;
  note: string | null;
  rate: number | null;
}

/** A row of a batch that has started. */
export interface BatchRow {
  row: number;
  id: string;
  state: State;
  final: boolean;
  cause: string | null;
  message: string;
  task: string;
  node: string;
  seconds: number | null;
  started?: number | null;
  memory_peak: number | null;
  reused: boolean;
  inputs: Value[];
  outputs: Value[];
  image: { direction: string; name: string } | null;
}

export interface BatchRows {
  rows: BatchRow[];
  counts: Counts;
  matching: number;
  total: number;
  offset: number;
  event_id: string;
  time: number;
}

export interface Session {
  version: string;
  token_required: boolean;
  server: string;
  home: string;
}
