/** The terms `KEY:VALUE` of a search. The server evaluates it; the page only sets and shows the state filter. */

const STATE_TERM = /(^|\s)state:(\S+)/i;

/** The states of a search, in upper case. */
export function statesOf(search: string): string[] {
  return (STATE_TERM.exec(search)?.[2] ?? "").split(",").filter(Boolean).map((state) => state.toUpperCase());
}

/** Add a state to the search, or remove it if it is there. */
export function toggleState(search: string, state: string): string {
  const states = statesOf(search);
  const kept = states.includes(state) ? states.filter((one) => one !== state) : [...states, state];
  const rest = search.replace(STATE_TERM, " ").replace(/\s+/g, " ").trim();
  return [rest, kept.length ? `state:${kept.join(",")}` : ""].filter(Boolean).join(" ");
}
