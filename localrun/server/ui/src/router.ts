import { useEffect, useState } from "preact/hooks";

export const BASE = "/ui/";

export interface Address {
  /** The path below `/ui/`, without a slash at its ends. */
  path: string;
  query: URLSearchParams;
  hash: string;
}

const CHANGED = "localrun:address";

export function currentAddress(): Address {
  const path = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : "";
  return { path: path.replace(/^\/+|\/+$/g, ""), query: new URLSearchParams(location.search), hash: location.hash };
}

/** Go to an address of this page. With `replace`, the back button skips the current one. */
export function navigate(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  dispatchEvent(new Event(CHANGED));
}

/** Change one parameter of the query in the address, without a new entry in the history. */
export function setQuery(name: string, value: string): void {
  const url = new URL(location.href);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  if (url.href !== location.href) navigate(url.pathname + url.search + url.hash, true);
}

export function taskHref(id: string): string {
  return `${BASE}task/${encodeURIComponent(id)}`;
}

export function batchHref(id: string): string {
  return `${BASE}batch/${encodeURIComponent(id)}`;
}

export function useAddress(): Address {
  const [address, setAddress] = useState(currentAddress);
  useEffect(() => {
    const update = (): void => setAddress(currentAddress());
    const names = [CHANGED, "popstate", "hashchange"];
    for (const name of names) addEventListener(name, update);
    return () => {
      for (const name of names) removeEventListener(name, update);
    };
  }, []);
  return address;
}

/** Follow links below `/ui/` without loading the page again. */
export function interceptLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (!link.pathname.startsWith(BASE)) return;
  if (link.pathname === location.pathname && link.search === location.search && link.hash) return;
  event.preventDefault();
  navigate(link.pathname + link.search + link.hash);
}
