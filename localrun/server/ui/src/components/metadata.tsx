import type { Json, JsonObject } from "../api/types";

const SHOWN = 2; // in a row of the list

/** The metadata of a task as labels, which a row cuts short. */
export function MetadataTags({ metadata }: { metadata: JsonObject | undefined }) {
  const all = Object.entries(metadata ?? {});
  if (!all.length) return null;
  const title = all.map(([key, value]) => `${key}=${text(value)}`).join("\n");
  return (
    <span class="metadata" title={title}>
      {all.slice(0, SHOWN).map(([key, value]) => (
        <span key={key} class="tag after">
          {key}={text(value)}
        </span>
      ))}
      {all.length > SHOWN && <span class="tag after">+{all.length - SHOWN}</span>}
    </span>
  );
}

/** The metadata of a task; each value leads to the tasks that have the same. */
export function Metadata({ metadata }: { metadata: JsonObject | undefined }) {
  const all = Object.entries(metadata ?? {});
  if (!all.length) return null;
  return (
    <dl class="facts small" aria-label="Metadata">
      {all.map(([key, value]) => (
        <div key={key}>
          <dt>{key}</dt>
          <dd>
            <a href={`/ui/?q=${encodeURIComponent(search(key, value))}`} title="Tasks with this value">
              {text(value)}
            </a>
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** The search for tasks that have a value, or only its key if the value cannot be searched for. */
export function search(key: string, value: Json): string {
  const whole = `${key}=${text(value)}`;
  return `metadata:"${whole.includes('"') ? key : whole}"`;
}

function text(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
