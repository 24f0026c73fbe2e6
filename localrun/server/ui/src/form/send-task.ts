import { errorOf, post, request } from "../api/client";
import type { JsonObject } from "../api/types";
import { nameOf } from "./file-input";
import type { FileChoice, Upload } from "./model";

/** Create a task and send its files. Returns its id. `progress` gets what is being done. */
export async function sendTask(submission: JsonObject, uploads: Upload[], progress: (text: string) => void): Promise<string> {
  progress("Sending");
  const { task_id } = await post<{ task_id: string }>("/task", { task: submission, assigned_by: "page" });
  for (const [at, upload] of uploads.entries()) {
    progress(`Sending ${nameOf(upload.choice)} (${at + 1} of ${uploads.length})`);
    const response = await request(`/task/${encodeURIComponent(task_id)}/inputs/${upload.path}`, {
      method: "PUT",
      body: await contentOf(upload.choice),
    });
    if (!response.ok) throw await errorOf(response);
  }
  return task_id;
}

async function contentOf(choice: FileChoice): Promise<Blob> {
  if (choice.from === "browser") return choice.file;
  if (choice.from === "server") throw new Error("the server reads this file itself");
  const response = await request(choice.url);
  if (!response.ok) throw await errorOf(response);
  return response.blob();
}
