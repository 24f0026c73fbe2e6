import { describe, expect, it } from "vitest";
import type { ServerEvent } from "../src/stream/parser";
import { openStream, type Connection, type StreamOptions } from "../src/stream/reader";

type Step = string[] | number | "broken" | "open";

/** A server that answers each connection with the next step, and what happened with it. */
function serve(steps: Step[], options: Partial<StreamOptions> = {}) {
  const sent: (string | undefined)[] = [];
  const events: ServerEvent[] = [];
  const delays: number[] = [];
  const connections: Connection[] = [];
  let close: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    close = openStream({
      request: async (headers) => {
        sent.push(headers["Last-Event-ID"]);
        const step = steps.shift();
        if (step === undefined) {
          queueMicrotask(() => (close(), resolve()));
          return new Response(null, { status: 503 });
        }
        if (typeof step === "number") return new Response("{}", { status: step });
        if (step === "broken") throw new TypeError("no network");
        return new Response(bodyOf(step === "open" ? [] : step, step === "open"));
      },
      onEvent: (event) => events.push(event),
      onConnection: (connection) => {
        connections.push(connection);
        if (connection === "closed" || connection === "refused") resolve();
      },
      delay: async (milliseconds) => {
        delays.push(milliseconds);
      },
      ...options,
    });
  });
  return { sent, events, delays, connections, done, close: () => close() };
}

function bodyOf(pieces: string[], isOpen: boolean): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
      if (!isOpen) controller.close();
    },
  });
}

describe("the reader of event streams", () => {
  it("opens a broken stream again after the last event received", async () => {
    const stream = serve([["id: 1\ndata: a\n\nid: 2\nda"], "broken", 503, ["id: 2\ndata: b\n\n"]]);
    await stream.done;
    expect(stream.events.map((event) => event.data)).toEqual(["a", "b"]);
    expect(stream.sent).toEqual([undefined, "1", "1", "1", "2"]);
    expect(stream.connections).toContain("waiting");
  });

  it("waits longer after each failure, up to a limit, and starts again after an event", async () => {
    const failures = Array.from({ length: 9 }, (): Step => "broken");
    const stream = serve([...failures, ["id: 1\ndata: a\n\n"], "broken"]);
    await stream.done;
    const first = stream.delays.slice(0, 9);
    expect(first).toEqual([...first].sort((a, b) => a - b));
    expect(Math.max(...first)).toBe(15_000);
    expect(stream.delays[9]).toBe(500);
  });

  it("waits as long as the server says", async () => {
    const stream = serve([["retry: 40\n\n"]]);
    await stream.done;
    expect(stream.delays[0]).toBe(40);
  });

  it.each([401, 403, 404, 422])("does not repeat a request that is refused with %i", async (status) => {
    const stream = serve([status]);
    await stream.done;
    expect(stream.connections.at(-1)).toBe("refused");
    expect(stream.sent).toHaveLength(1);
  });

  it("ends with a stream that is complete", async () => {
    const stream = serve([["event: end\ndata: {}\n\n"]], { ends: () => true });
    await stream.done;
    expect(stream.connections.at(-1)).toBe("closed");
    expect(stream.sent).toHaveLength(1);
  });

  it("starts after a given event", async () => {
    const stream = serve([404], { after: "s-9" });
    await stream.done;
    expect(stream.sent).toEqual(["s-9"]);
  });

  it("decodes a character that is cut between two pieces", async () => {
    const bytes = new TextEncoder().encode("id: 1\ndata: é\n\n");
    const events: ServerEvent[] = [];
    await new Promise<void>((resolve) => {
      const close = openStream({
        request: async () =>
          new Response(
            new ReadableStream({
              start(controller) {
                for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
                controller.close();
              },
            }),
          ),
        onEvent: (event) => {
          events.push(event);
          close();
          resolve();
        },
        delay: async () => undefined,
      });
    });
    expect(events[0]?.data).toBe("é");
  });
});
