/** One event of a server-sent event stream. */
export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

/**
 * Parses the text of a server-sent event stream, in pieces of any size.
 *
 * The rules are those of the HTML standard: lines end with CR, LF or both, an empty line dispatches the event,
 * a line that starts with a colon is a comment, and an event without data is ignored.
 */
export class EventParser {
  /** The id of the last complete event: what a new connection sends as `Last-Event-ID`. */
  lastId = "";
  /** Milliseconds until a new connection, if the server has set it. */
  retry: number | undefined;
  private rest = "";
  private id = "";
  private event = "";
  private data: string[] = [];
  private endsWithReturn = false;

  feed(text: string): ServerEvent[] {
    const found: ServerEvent[] = [];
    if (this.endsWithReturn && text.startsWith("\n")) text = text.slice(1);
    if (text) this.endsWithReturn = text.endsWith("\r");
    const lines = (this.rest + text).split(/\r\n|\r|\n/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line) this.field(line);
      else this.dispatch(found);
    }
    return found;
  }

  private dispatch(found: ServerEvent[]): void {
    this.lastId = this.id;
    if (this.data.length) {
      found.push({ id: this.id, event: this.event || "message", data: this.data.join("\n") });
    }
    this.event = "";
    this.data = [];
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (name === "data") this.data.push(value);
    else if (name === "event") this.event = value;
    else if (name === "id" && !value.includes("\0")) this.id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}
