import { describe, expect, it } from "vitest";
import type { Upload } from "../src/form/model";
import { plan } from "../src/form/send-task";

const upload = (path: string): Upload => ({ path, choice: { from: "task", url: "", name: path } });

describe("what is sent to a task", () => {
  it("comes in an order in which the task does not start before all of it is there", () => {
    const found = plan({ inputs: { mode: "fast" } }, [upload("image"), upload("tiles/0?of=1")], new Set(["image", "mode"]));
    expect(found.uploads.map((one) => one.path)).toEqual(["tiles/0?of=1", "image"]);
    expect(found.last).toBeNull();
  });

  it("ends with a required value if all files are optional", () => {
    const found = plan({ bundle: "b", inputs: { mode: "fast", file: "@a", n: 3 } }, [upload("table")], new Set(["file", "n"]));
    expect(found.task).toEqual({ bundle: "b", inputs: { mode: "fast", file: "@a" } });
    expect(found.last).toEqual({ name: "n", text: "3" });
  });

  it("is the task itself if there are no files", () => {
    const task = { inputs: { n: 3 } };
    expect(plan(task, [], new Set(["n"]))).toEqual({ task, uploads: [], last: null });
  });
});
