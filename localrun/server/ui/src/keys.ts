import { useEffect, useRef } from "preact/hooks";

export const KEYS: [string, string][] = [
  ["/", "search"],
  ["j k", "next and previous row"],
  ["Enter", "open the row"],
  ["x", "select the row"],
  ["c", "compare two selected tasks"],
  ["r", "run the task again"],
  ["f", "follow the log"],
  ["w", "wrap the lines of the log"],
  ["Esc", "clear the selection, leave the search"],
  ["?", "show the keys"],
];

/** What a key does; `false` if it does nothing now, and another part of the page may handle it. */
type Handlers = Record<string, (event: KeyboardEvent) => unknown>;

/** Handle single keys, unless they are typed into a field or combined with Ctrl, Alt or Meta. */
export function useKeys(handlers: Handlers): void {
  const latest = useRef(handlers);
  latest.current = handlers;
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target) && event.key !== "Escape") return;
      if (event.key === "Enter" && isControl(event.target)) return;
      const handler = latest.current[event.key];
      if (!handler) return;
      if (handler(event) !== false) event.preventDefault();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button", "range", "file"].includes(target.type);
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

function isControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && Boolean(target.closest("a, button, summary, select, input"));
}
