import type { Json } from "../api/types";
import type { ControlProps } from "./field";

const SHORT_LIST = 5; // choices that are shown as radio buttons

/** A number, text, choice, boolean or datetime. */
export function ScalarInput({ id, about, label, type, entry, invalid, initial, onChange }: ControlProps) {
  const set = (text: string): void => onChange({ ...entry, text });
  const shared = { id, "aria-describedby": about, "aria-invalid": invalid };
  if (type.id === "boolean") return <Radios {...{ id, about, label }} values={["true", "false"]} value={entry.text} onChange={set} />;
  if (type.id === "enumeration") {
    const values = (Array.isArray(type.values) ? type.values : []).map(String);
    if (values.length <= SHORT_LIST) return <Radios {...{ id, about, label }} values={values} value={entry.text} onChange={set} />;
    return (
      <select {...shared} value={entry.text} onChange={(event) => set(event.currentTarget.value)}>
        <option value="" />
        {values.map((value) => (
          <option key={value} value={value}>
            {value}
          </option>
        ))}
      </select>
    );
  }
  if (type.id === "integer" || type.id === "number") return <NumberInput {...{ shared, type, entry, initial, set }} />;
  if (type.id === "datetime") {
    return (
      <div class="row">
        <input {...shared} value={entry.text} placeholder="2026-11-29T12:00:00Z" size={28} onInput={(event) => set(event.currentTarget.value)} />
        <button type="button" onClick={() => set(new Date().toISOString().replace(/\.\d+/, ""))}>Now</button>
      </div>
    );
  }
  const long = entry.text.length > 60 || entry.text.includes("\n") || numberOr(type.max_length, 0) > 200;
  if (long) return <textarea {...shared} rows={4} value={entry.text} onInput={(event) => set(event.currentTarget.value)} />;
  return <input {...shared} type="text" value={entry.text} onInput={(event) => set(event.currentTarget.value)} autocomplete="off" />;
}

interface NumberProps {
  shared: { id: string; "aria-describedby": string; "aria-invalid": boolean };
  type: ControlProps["type"];
  entry: ControlProps["entry"];
  initial: Json | undefined;
  set: (text: string) => void;
}

/** A text field, because a number field hides what is not a number; with a slider for a short range. */
function NumberInput({ shared, type, entry, initial, set }: NumberProps) {
  const low = bound(type.geq, type.gt, type.id);
  const high = bound(type.leq, type.lt, type.id, -1);
  const unset = typeof initial === "number" ? initial : (low ?? 0);
  const hasRange = low !== null && high !== null && high > low && high - low <= 100_000;
  return (
    <div class="row number">
      <input
        {...shared}
        type="text"
        inputMode={type.id === "integer" ? "numeric" : "decimal"}
        value={entry.text}
        size={12}
        autocomplete="off"
        onInput={(event) => set(event.currentTarget.value)}
      />
      {hasRange && (
        <input
          type="range"
          aria-label={`${shared.id.slice(3)}, slider`}
          min={low}
          max={high}
          step={type.id === "integer" ? 1 : (high - low) / 200}
          value={entry.text === "" ? unset : Number(entry.text)}
          onInput={(event) => set(event.currentTarget.value)}
        />
      )}
    </div>
  );
}

interface RadioProps {
  id: string;
  about: string;
  label: string;
  values: string[];
  value: string;
  onChange: (text: string) => void;
}

function Radios({ id, about, values, value, onChange }: RadioProps) {
  return (
    <div class="row radios" role="radiogroup" aria-labelledby={`${id}-label`} aria-describedby={about}>
      {values.map((one) => (
        <label key={one}>
          <input type="radio" name={id} value={one} checked={value === one} onChange={() => onChange(one)} />
          {one}
        </label>
      ))}
      {value !== "" && (
        <button type="button" class="quiet" onClick={() => onChange("")}>
          Clear
        </button>
      )}
    </div>
  );
}

function bound(inclusive: Json | undefined, exclusive: Json | undefined, type: string, step = 1): number | null {
  if (typeof inclusive === "number") return inclusive;
  if (typeof exclusive === "number") return type === "integer" ? exclusive + step : exclusive;
  return null;
}

function numberOr(value: Json | undefined, other: number): number {
  return typeof value === "number" ? value : other;
}
