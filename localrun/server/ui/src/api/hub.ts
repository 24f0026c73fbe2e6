import { openStream, type Connection } from "../stream/reader";
import type { ServerEvent } from "../stream/parser";
import { request } from "./client";
import type { Batch, JournalLine, LiveEvent } from "./types";

export type HubEvent =
  | { type: "task"; event: LiveEvent }
  | { type: "journal"; line: JournalLine }
  | { type: "batch"; batch: Batch }
  | { type: "reset" };

type Listener = (event: HubEvent) => void;

/**
 * The one connection to `/events` that all views share; browsers allow six to a server.
 *
 * The journal is only sent while a view wants it.
 */
class Hub {
  private listeners = new Set<Listener>();
  private connectionListeners = new Set<(connection: Connection) => void>();
  private close: (() => void) | undefined;
  private last = "";
  private journal = 0;
  connection: Connection = "connecting";

  /** Open the connection, or open it again: after a new token, or with or without the journal. */
  open(): void {
    this.close?.();
    this.close = openStream({
      after: this.last,
      request: (headers, signal) => request(`/events${this.journal ? "?journal=true" : ""}`, { headers, signal, cache: "no-store" }),
      onEvent: (event) => this.receive(event),
      onConnection: (connection) => {
        this.connection = connection;
        for (const listener of this.connectionListeners) listener(connection);
      },
    });
  }

  /** Start after the event of a response, unless the connection is already ahead of it. */
  startAfter(id: string): void {
    if (this.close) return;
    this.last = id;
    this.open();
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  listenToConnection(listener: (connection: Connection) => void): () => void {
    this.connectionListeners.add(listener);
    return () => this.connectionListeners.delete(listener);
  }

  /** Receive the journal until the returned function is called. */
  wantJournal(): () => void {
    this.journal += 1;
    if (this.journal === 1) this.open();
    return () => {
      this.journal -= 1;
      if (this.journal === 0) this.open();
    };
  }

  private receive(event: ServerEvent): void {
    if (event.id) this.last = event.id;
    const found = decode(event);
    if (found) for (const listener of [...this.listeners]) listener(found);
  }
}

/** The event of the stream, or null for one that this page does not use. */
export function decode(event: ServerEvent): HubEvent | null {
  if (event.event === "reset") return { type: "reset" };
  if (event.event === "hello") return null;
  try {
    const data = JSON.parse(event.data) as unknown;
    if (event.event === "journal") return { type: "journal", line: data as JournalLine };
    if (event.event === "batch") return { type: "batch", batch: (data as { batch: Batch }).batch };
    const live = data as LiveEvent;
    return typeof live.task_id === "string" ? { type: "task", event: { ...live, kind: live.kind ?? event.event } } : null;
  } catch {
    return null;
  }
}

export const hub = new Hub();
