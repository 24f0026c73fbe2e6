import type { RefObject } from "preact";
import { STATES, type Counts, type State } from "../api/types";
import { Icon, StateBadge } from "../components/icon";
import { statesOf, toggleState } from "../model/search";

interface FieldProps {
  value: string;
  onInput: (text: string) => void;
  field: RefObject<HTMLInputElement | null>;
}

export function SearchField({ value, onInput, field }: FieldProps) {
  return (
    <div class="search">
      <Icon name="search" />
      <input
        ref={field}
        type="search"
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
        placeholder="Search, e.g. cause:OUT_OF_MEMORY by:ray"
        aria-label="Search tasks"
        title="Words, or state: cause: by: name: id: bundle: step: kind: message: value: metadata: (also -state:FAILED)"
        spellcheck={false}
        autocomplete="off"
      />
    </div>
  );
}

const ALWAYS: readonly State[] = ["RUNNING", "FINISHED", "FAILED", "KILLED"];

interface ChipsProps {
  search: string;
  counts: Counts;
  onSearch: (search: string) => void;
}

/** The number of tasks in each state, as filters. */
export function Chips({ search, counts, onSearch }: ChipsProps) {
  const chosen = statesOf(search);
  const shown = STATES.filter((state) => ALWAYS.includes(state) || counts[state] || chosen.includes(state));
  return (
    <div class="chips" role="group" aria-label="Filter by state">
      {shown.map((state) => (
        <button type="button" key={state} aria-pressed={chosen.includes(state)} onClick={() => onSearch(toggleState(search, state))}>
          <StateBadge state={state} />
          <span class="count">{(counts[state] ?? 0).toLocaleString("en")}</span>
        </button>
      ))}
    </div>
  );
}
