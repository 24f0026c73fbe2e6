import { errorOf, post, request } from "../api/client";
import type { JsonObject } from "../api/types";
import { nameOf } from "./file-input";
import type { FileChoice, Upload } from "./model";

/** What is sent to a task after it was created: files, and at the end perhaps a value that it waits for. */
export interface Delivery {
  task: JsonObject;
  uploads: Upload[];
  /** The value of a required input, so that the task does not start before its optional files are there. */
  last: { name: string; text: string } | null;
}

/**
 * Order what is sent: a task starts as soon as it has all required inputs, so one of these must come last.
 *
 * `required` are the names of the required inputs.
 */
export function plan(submission: JsonObject, uploads: Upload[], required: ReadonlySet<string>): Delivery {
  const isRequired = (upload: Upload): boolean => required.has(inputOf(upload));
  const ordered = [...uploads.filter((one) => !isRequired(one)), ...uploads.filter(isRequired)];
  const waits = ordered.some(isRequired);
  if (!ordered.length || waits) return { task: submission, uploads: ordered, last: null };
  const inputs = { ...((submission.inputs ?? {}) as JsonObject) };
  for (const [name, value] of Object.entries(inputs)) {
    const isScalar = ["string", "number", "boolean"].includes(typeof value) && !String(value).startsWith("@");
    if (!required.has(name) || !isScalar) continue;
    delete inputs[name];
    return { task: { ...submission, inputs }, uploads: ordered, last: { name, text: String(value) } };
  }
  return { task: submission, uploads: ordered, last: null };
}

function inputOf(upload: Upload): string {
  return decodeURIComponent(upload.path.split(/[/?]/)[0] ?? "");
}

/** Create a task and send its files. Returns its id. `progress` gets what is being done. */
export async function sendTask(delivery: Delivery, progress: (text: string) => void): Promise<string> {
  progress("Sending");
  const { task_id } = await post<{ task_id: string }>("/task", { task: delivery.task, assigned_by: "page" });
  const base = `/task/${encodeURIComponent(task_id)}/inputs`;
  for (const [at, upload] of delivery.uploads.entries()) {
    progress(`Sending ${nameOf(upload.choice)} (${at + 1} of ${delivery.uploads.length})`);
    await put(`${base}/${upload.path}`, await contentOf(upload.choice));
  }
  if (delivery.last) await put(`${base}/${encodeURIComponent(delivery.last.name)}`, delivery.last.text);
  return task_id;
}

async function put(path: string, body: Blob | string): Promise<void> {
  const response = await request(path, { method: "PUT", body });
  if (!response.ok) throw await errorOf(response);
}

async function contentOf(choice: FileChoice): Promise<Blob> {
  if (choice.from === "browser") return choice.file;
  if (choice.from === "server") throw new Error("the server reads this file itself");
  const response = await request(choice.url);
  if (!response.ok) throw await errorOf(response);
  return response.blob();
}
