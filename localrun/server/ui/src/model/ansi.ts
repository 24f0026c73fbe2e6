/** A part of a line of a log with one look. */
export interface Span {
  text: string;
  /** CSS classes, such as `a-bold a-31`. */
  classes: string;
}

interface Look {
  colour: string;
  background: string;
  flags: Set<string>;
}

const FLAGS: Record<number, string> = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse" };
const ENDS: Record<number, string[]> = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"] };
// an escape sequence: CSI, OSC (hyperlinks, titles) and other strings, or two characters
// eslint-disable-next-line no-control-regex
const ESCAPES = /\x1b\[([0-9;:?<=>]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Split a line into spans by its ANSI colours. All other escape sequences have no effect and are removed.
 *
 * What remains of control characters, also those that change the direction of text, is shown as a symbol. A
 * carriage return starts the line again, as in a terminal.
 */
export function parseAnsi(line: string): Span[] {
  const shown = afterReturns(line);
  if (!shown.includes("\x1b")) return plain(shown);
  const look: Look = { colour: "", background: "", flags: new Set() };
  const spans: Span[] = [];
  let at = 0;
  for (const match of shown.matchAll(ESCAPES)) {
    push(spans, shown.slice(at, match.index), look);
    if (match[2] === "m") apply(look, match[1] ?? "");
    at = match.index + match[0].length;
  }
  push(spans, shown.slice(at), look);
  return spans;
}

/** A line without escape sequences, as it is searched and copied. */
export function stripAnsi(line: string): string {
  const shown = afterReturns(line);
  return visible(shown.includes("\x1b") ? shown.replace(ESCAPES, "") : shown);
}

function afterReturns(line: string): string {
  const end = line.endsWith("\r") ? line.slice(0, -1) : line;
  return end.slice(end.lastIndexOf("\r") + 1);
}

function plain(text: string): Span[] {
  return text ? [{ text: visible(text), classes: "" }] : [];
}

function visible(text: string): string {
  return text.replace(CONTROLS, (one) => {
    const code = one.charCodeAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : code === 127 ? "\u2421" : "\ufffd";
  });
}

function push(spans: Span[], text: string, look: Look): void {
  if (!text) return;
  const classes = [...look.flags].map((flag) => `a-${flag}`);
  if (look.colour) classes.push(`a-${look.colour}`);
  if (look.background) classes.push(`a-b${look.background}`);
  spans.push({ text: visible(text), classes: classes.join(" ") });
}

function apply(look: Look, parameters: string): void {
  const codes = parameters.split(/[;:]/).map(Number);
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    const flag = FLAGS[code];
    if (code === 38 || code === 48) {
      const [name, used] = extended(codes, at + 1);
      if (code === 38) look.colour = name;
      else look.background = name;
      at += used;
    } else if (flag) look.flags.add(flag);
    else basic(look, code);
  }
}

function basic(look: Look, code: number): void {
  if (code === 0) {
    look.colour = look.background = "";
    look.flags.clear();
  } else if (ENDS[code]) for (const flag of ENDS[code]) look.flags.delete(flag);
  else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) look.colour = String(code);
  else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) look.background = String(code - 10);
  else if (code === 39) look.colour = "";
  else if (code === 49) look.background = "";
}

/** The nearest of the 16 colours for `5;N` and `2;R;G;B`, and how many codes that took. */
function extended(codes: number[], at: number): [string, number] {
  if (codes[at] === 5) return [fromIndex(codes[at + 1] ?? 0), 2];
  if (codes[at] === 2) return [fromRgb(codes[at + 1] ?? 0, codes[at + 2] ?? 0, codes[at + 3] ?? 0), 4];
  return ["", 0];
}

function fromIndex(index: number): string {
  if (index < 8) return String(30 + index);
  if (index < 16) return String(82 + index);
  if (index >= 232) return fromRgb(...(Array(3).fill(8 + 10 * (index - 232)) as [number, number, number]));
  const cube = index - 16;
  const level = (value: number): number => (value ? 55 + 40 * value : 0);
  return fromRgb(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

function fromRgb(red: number, green: number, blue: number): string {
  const most = Math.max(red, green, blue);
  if (most < 64) return "90";
  const bit = (value: number): number => (value > most / 2 ? 1 : 0);
  return String(30 + bit(red) + 2 * bit(green) + 4 * bit(blue));
}
