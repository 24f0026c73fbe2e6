const KEY = "localrun.token";
const LISTENERS = new Set<() => void>();

/** The token of this tab, or an empty string. */
export function getToken(): string {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

export function setToken(token: string): void {
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // no storage: the token is asked for again after a reload
  }
  for (const listener of LISTENERS) listener();
}

/** The headers that authenticate a request. */
export function authorization(): Record<string, string> {
  const token = getToken();
  return token ? { Authorization: `Bearer ${token}` } : {};
}
