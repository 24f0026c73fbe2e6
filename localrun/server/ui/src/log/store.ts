import type { LogEntry, LogPage } from "../api/types";

export const BLOCK = 500; // lines
const KEPT = 400; // blocks: 200,000 lines

/**
 * The lines of a log that were received, by their number from 1.
 *
 * Only the last used blocks of lines are kept: a log of 50 MB never is in memory as a whole.
 */
export class LogStore {
  private blocks = new Map<number, Map<number, LogEntry>>();
  lines = 0;
  size = 0;
  complete = false;
  /** The byte after the last line received in order: where a stream continues. */
  end = 0;

  add(page: LogPage): void {
    this.lines = Math.max(this.lines, page.lines);
    this.size = Math.max(this.size, page.size);
    this.complete ||= page.complete;
    this.end = Math.max(this.end, page.end.byte);
    for (const entry of page.entries) {
      this.lines = Math.max(this.lines, entry.line);
      this.block(entry.line).set(entry.line, entry);
    }
    this.forget();
  }

  get(line: number): LogEntry | undefined {
    return this.blocks.get(blockOf(line))?.get(line);
  }

  /** The first lines of the requests that are needed to show lines `first` up to but without `last`. */
  missing(first: number, last: number): number[] {
    const found: number[] = [];
    for (let line = Math.max(1, first); line < Math.min(last, this.lines + 1); line += 1) {
      if (this.get(line)) continue;
      found.push(line);
      line = (blockOf(line) + 1) * BLOCK;
    }
    return found;
  }

  /** The line that contains a byte, if it was received. */
  lineAt(byte: number): number | undefined {
    let best: LogEntry | undefined;
    for (const block of this.blocks.values()) {
      for (const entry of block.values()) if (entry.byte <= byte && (!best || entry.byte > best.byte)) best = entry;
    }
    const next = best && this.get(best.line + 1);
    if (!best) return undefined;
    return next || best.line === this.lines ? best.line : undefined;
  }

  clear(): void {
    this.blocks.clear();
    this.lines = this.size = this.end = 0;
    this.complete = false;
  }

  private block(line: number): Map<number, LogEntry> {
    const number = blockOf(line);
    const found = this.blocks.get(number) ?? new Map<number, LogEntry>();
    this.blocks.delete(number); // the last used one is the last of the map
    this.blocks.set(number, found);
    return found;
  }

  private forget(): void {
    for (const number of this.blocks.keys()) {
      if (this.blocks.size <= KEPT) return;
      this.blocks.delete(number);
    }
  }
}

function blockOf(line: number): number {
  return Math.floor((line - 1) / BLOCK);
}
