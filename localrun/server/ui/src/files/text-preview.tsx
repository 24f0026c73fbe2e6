import { useEffect, useState } from "preact/hooks";
import { ApiError, download, request } from "../api/client";
import type { FileLink, Parameter } from "../api/types";
import { Skeleton } from "../components/notice";
import { bytes } from "../model/format";

const SHOWN = 256 * 1024; // bytes

/** The start of a file as text. It is always a text node: HTML and SVG have no effect. */
export function TextPreview({ parameter }: { parameter: Parameter }) {
  const [at, setAt] = useState(0);
  const file = parameter.files[at];
  if (!file) return <p class="empty">There is no file.</p>;
  return (
    <div class="body preview">
      {parameter.files.length > 1 && (
        <label class="row">
          Item
          <select value={at} onChange={(event) => setAt(Number(event.currentTarget.value))}>
            {parameter.files.map((one, index) => (
              <option key={one.name} value={index}>
                {one.name} ({bytes(one.size ?? 0)})
              </option>
            ))}
          </select>
        </label>
      )}
      <FileText key={file.url} file={file} />
    </div>
  );
}

type Found = { kind: "text"; text: string; rest: number } | { kind: "binary" } | { kind: "error"; message: string };

function FileText({ file }: { file: FileLink }) {
  const [found, setFound] = useState<Found | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    read(file, abort.signal).then(setFound, (error: unknown) => {
      if (!abort.signal.aborted) setFound({ kind: "error", message: ApiError.of(error).message });
    });
    return () => abort.abort();
  }, [file.url]);
  if (!found) return <Skeleton rows={4} height={14} />;
  return (
    <>
      {found.kind === "text" && (
        <pre class="file-text" tabIndex={0} aria-label={file.name}>
          {found.text}
        </pre>
      )}
      {found.kind === "binary" && <p class="muted">This file is not text.</p>}
      {found.kind === "error" && <p class="problem">{found.message}</p>}
      {found.kind === "text" && found.rest > 0 && <p class="muted small">{bytes(found.rest)} more are not shown.</p>}
      <p>
        <button type="button" onClick={() => void download(file.url, file.name.replace("/", "-"))}>Download ({bytes(file.size ?? 0)})</button>
      </p>
    </>
  );
}

async function read(file: FileLink, signal: AbortSignal): Promise<Found> {
  const response = await request(file.url, { headers: { Range: `bytes=0-${SHOWN - 1}` }, signal });
  if (response.status === 416) return { kind: "text", text: "", rest: 0 };
  if (!response.ok) return { kind: "error", message: `the file cannot be read (status ${response.status})` };
  const data = new Uint8Array(await response.arrayBuffer());
  return textOf(data, file.size ?? data.length);
}

/** Decode the start of a file, unless it looks like binary data; JSON is indented. */
export function textOf(data: Uint8Array, size: number): Found {
  if (data.subarray(0, 8192).includes(0)) return { kind: "binary" };
  const isWhole = size <= data.length;
  try {
    // a character may be cut off at the end of what was read
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data, { stream: !isWhole });
    return { kind: "text", text: isWhole ? indented(text) : text, rest: size - data.length };
  } catch {
    return { kind: "binary" };
  }
}

function indented(text: string): string {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
