import { EventParser, type ServerEvent } from "./parser";

export type Connection = "connecting" | "live" | "waiting" | "closed" | "refused";

export interface StreamOptions {
  onEvent: (event: ServerEvent) => void;
  onConnection?: (connection: Connection) => void;
  /** The id to start after. */
  after?: string;
  /** Whether the stream is complete when the server ends it. Otherwise it is opened again. */
  ends?: () => boolean;
  /** Sends the request; replaced in tests. */
  request: (headers: Record<string, string>, signal: AbortSignal) => Promise<Response>;
  delay?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;

/**
 * Reads a server-sent event stream with fetch, and opens it again when it breaks, after the last event received.
 *
 * `EventSource` cannot send an Authorization header. Returns a function that closes the stream.
 */
export function openStream(options: StreamOptions): () => void {
  const abort = new AbortController();
  void follow(options, abort.signal);
  return () => abort.abort();
}

async function follow(options: StreamOptions, signal: AbortSignal): Promise<void> {
  const wait = options.delay ?? sleep;
  let last = options.after ?? "";
  let failures = 0;
  while (!signal.aborted) {
    options.onConnection?.("connecting");
    const parser = new EventParser();
    try {
      const response = await options.request(last ? { "Last-Event-ID": last } : {}, signal);
      if (isRefused(response.status)) return options.onConnection?.("refused");
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
      options.onConnection?.("live");
      for await (const event of read(response.body, parser)) {
        if (signal.aborted) return;
        failures = 0;
        if (event.id) last = event.id;
        options.onEvent(event);
      }
      if (options.ends?.()) return options.onConnection?.("closed");
    } catch {
      if (signal.aborted) return;
    }
    options.onConnection?.("waiting");
    const base = parser.retry ?? FIRST_DELAY;
    await wait(Math.min(base * 2 ** Math.min(failures, 8), LONGEST_DELAY), signal);
    failures += 1;
  }
}

/** A request that fails in the same way each time: no such task, or no valid token. */
function isRefused(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

async function* read(body: ReadableStream<Uint8Array>, parser: EventParser): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
