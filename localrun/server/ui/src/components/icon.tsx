import type { State } from "../api/types";

const PATHS: Record<string, string> = {
  circle: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z",
  dot: "M8 5.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z",
  clock: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM8 5v3.2l2.2 1.6",
  half: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM8 2.5v11",
  play: "M5 3.2v9.6L12.5 8Z",
  check: "M3 8.5 6.5 12 13 4.5",
  cross: "m4 4 8 8M12 4l-8 8",
  square: "M4 4h8v8H4Z",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.4 10.4 14 14",
  down: "m3.5 6 4.5 4.5L12.5 6",
  up: "m3.5 10 4.5-4.5 4.5 4.5",
  copy: "M5.5 5.5h8v8h-8ZM3 10.5h-.5v-8h8V3",
  download: "M8 2.5v7.5m-3-3 3 3 3-3M3 13.5h10",
  plus: "M8 3v10M3 8h10",
  warning: "M8 2.5 14 13.5H2ZM8 6.5v3.2M8 11.4v.4",
};

const OF_STATE: Record<State, string> = {
  CREATED: "circle",
  PROVISIONED: "dot",
  QUEUING: "clock",
  QUEUED: "clock",
  PENDING: "half",
  RUNNING: "play",
  FINISHED: "check",
  FAILED: "cross",
  KILLED: "square",
};

export function Icon({ name }: { name: string }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={PATHS[name] ?? ""} />
    </svg>
  );
}

/** The state of a task as an icon, a word and a colour. */
export function StateBadge({ state }: { state: State }) {
  return (
    <span class={`state s-${state.toLowerCase()}`}>
      <Icon name={OF_STATE[state] ?? "circle"} />
      {state.charAt(0) + state.slice(1).toLowerCase()}
    </span>
  );
}
