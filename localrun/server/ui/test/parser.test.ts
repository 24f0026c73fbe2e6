import { describe, expect, it } from "vitest";
import { EventParser } from "../src/stream/parser";

describe("the parser of event streams", () => {
  it("finds events with their id, name and data", () => {
    const events = new EventParser().feed('id: 7\nevent: state\ndata: {"a": 1}\n\n');
    expect(events).toEqual([{ id: "7", event: "state", data: '{"a": 1}' }]);
  });

  it("gives the same events whatever the size of the pieces", () => {
    const text = "retry: 1000\r\n\r\nid: 1\r\ndata: one\r\ndata: two\r\n\r\n: comment\n\nid: 2\ndata\ndata:x\n\rid: 3\rdata: é\r\r";
    const whole = new EventParser().feed(`${text}\n`);
    for (let size = 1; size < 9; size += 1) {
      const parser = new EventParser();
      const found = [];
      for (let at = 0; at < text.length; at += size) found.push(...parser.feed(text.slice(at, at + size)));
      found.push(...parser.feed("\n"));
      expect(found).toEqual(whole);
      expect(parser.retry).toBe(1000);
    }
    expect(whole.map((one) => one.data)).toEqual(["one\ntwo", "\nx", "é"]);
  });

  it("keeps the id for events without one, and takes it over only with a complete event", () => {
    const parser = new EventParser();
    expect(parser.feed("id: 4\ndata: a\n\ndata: b\n\nid: 5\n").map((one) => one.id)).toEqual(["4", "4"]);
    expect(parser.lastId).toBe("4");
  });

  it("ignores ids with null characters, unknown fields and events without data", () => {
    expect(new EventParser().feed("id: a\0b\nfoo: x\nevent: empty\n\n")).toEqual([]);
  });
});
