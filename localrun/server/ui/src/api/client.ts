import { authorization, setToken } from "./token";
import type { Problem } from "./types";

/** A request that failed: its status (0: no answer), what the server says, and all problems of a 422. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint = "",
    readonly problems: Problem[] = [],
  ) {
    super(message);
  }

  /** What was thrown, as an error of this class. */
  static of(problem: unknown): ApiError {
    return problem instanceof ApiError ? problem : new ApiError(0, problem instanceof Error ? problem.message : String(problem));
  }
}

type UnauthorizedListener = () => void;
let onUnauthorized: UnauthorizedListener = () => undefined;

/** Call a function when the server wants a token. */
export function whenUnauthorized(listener: UnauthorizedListener): void {
  onUnauthorized = listener;
}

/** Send a request with the token. Rejects with `ApiError` unless the status is 2xx. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await request(path, init);
  if (response.ok) return response;
  throw await errorOf(response);
}

/** Send a request with the token, and return the response whatever its status. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { ...authorization(), ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "the server does not answer", "start it with `localrun serve`");
  }
  if (response.status === 401) onUnauthorized();
  return response;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await send(path, signal ? { signal } : {})).json()) as T;
}

export async function post<T>(path: string, body: unknown = {}): Promise<T> {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return (await (await send(path, init)).json()) as T;
}

/** Download a file: with a token by a one-time address, because a link cannot send a header. */
export async function download(path: string, name = ""): Promise<void> {
  const { url } = await post<{ url: string }>("/session/tickets", { path });
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

/** Exchange the one-time code of the address for the token, and remove it from the address. */
export async function exchangeCode(): Promise<string> {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!code) return "";
  history.replaceState(null, "", location.pathname + location.search);
  try {
    const { token } = await post<{ token: string | null }>("/session", { code });
    if (token) setToken(token);
    return "";
  } catch (error) {
    return error instanceof ApiError ? `${error.message}; ${error.hint}` : String(error);
  }
}

interface Item {
  loc?: (string | number)[];
  msg?: string;
  ctx?: { error?: string; remedy?: string; message?: string; path?: string };
}

/** Read the error of a response. */
export async function errorOf(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { detail?: string | Item[]; hint?: string };
    if (typeof body.detail === "string") return new ApiError(response.status, body.detail, body.hint ?? "");
    const problems = (body.detail ?? []).map(problemOf);
    const first = problems.map((one) => (one.path ? `${one.path}: ${one.message}` : one.message)).join("\n");
    return new ApiError(response.status, first || `status ${response.status}`, body.hint ?? "", problems);
  } catch {
    return new ApiError(response.status, text.slice(0, 500) || `status ${response.status}`);
  }
}

function problemOf(item: Item): Problem {
  const path = item.ctx?.path ?? (item.loc ?? []).filter((part) => part !== "body" && part !== "task").join(".");
  return { path, message: item.ctx?.message ?? item.msg ?? "", remedy: item.ctx?.remedy ?? null };
}
