import { useEffect } from "preact/hooks";
import { useGet } from "../api/hooks";
import type { ComparedParameter, Diff, Row } from "../api/types";
import { StateBadge } from "../components/icon";
import { ErrorNotice, Skeleton } from "../components/notice";
import { bytes, duration, number, shortId } from "../model/format";
import { isPlain, Value } from "../files/parameter-table";
import { CompareFiles } from "../files/compare-files";
import { isImage } from "../files/parameter";
import { taskHref } from "../router";

/** Two tasks side by side: inputs, outputs, and what each took. */
export function ComparePage({ query }: { query: URLSearchParams }) {
  const a = query.get("a") ?? "";
  const b = query.get("b") ?? "";
  const path = a && b ? `/diff?a=${encodeURIComponent(a)}&b=${encodeURIComponent(b)}` : null;
  const { data: diff, error, reload } = useGet<Diff>(path);
  useEffect(() => {
    document.title = "Compare - localrun";
  }, []);
  if (!path) {
    return (
      <div class="empty">
        <h1>Compare two tasks</h1>
        <p>
          Select two tasks in the <a href="/ui/">list</a> with <kbd>x</kbd>, then press <kbd>c</kbd>.
        </p>
      </div>
    );
  }
  if (error) return <ErrorNotice error={error} retry={reload} />;
  if (!diff) return <Skeleton rows={8} height={28} />;
  return (
    <>
      <div class="view-head">
        <h1>Compare</h1>
        <span class={diff.same ? "state s-finished" : "state s-queued"}>{diff.same ? "No differences" : "Different"}</span>
        <a class="button push" href={`/ui/compare?a=${encodeURIComponent(b)}&b=${encodeURIComponent(a)}`}>
          Swap
        </a>
      </div>
      <div class="pair heads">
        <Head name="A" row={diff.a} />
        <Head name="B" row={diff.b} />
      </div>
      <Parameters title="Outputs" list={diff.outputs} diff={diff} direction="outputs" />
      <Parameters title="Inputs" list={diff.inputs} diff={diff} direction="inputs" />
      <Measures diff={diff} />
      <Differences diff={diff} />
    </>
  );
}

function Head({ name, row }: { name: string; row: Row }) {
  return (
    <div class="card compare-head">
      <span class="letter" aria-hidden="true">
        {name}
      </span>
      <div class="wrap">
        <a href={taskHref(row.id)}>
          <strong>{row.name || shortId(row.id)}</strong> <span class="mono muted">{shortId(row.id)}</span>
        </a>
        <p>
          <StateBadge state={row.state} /> {row.cause && <span class="tag cause">{row.cause}</span>}
        </p>
      </div>
    </div>
  );
}

interface ParametersProps {
  title: string;
  list: ComparedParameter[];
  diff: Diff;
  direction: "inputs" | "outputs";
}

function Parameters({ title, list, diff, direction }: ParametersProps) {
  if (!list.length) return null;
  return (
    <section class="card" aria-label={title}>
      <header>
        <h2>{title}</h2>
      </header>
      <div class="body">
        <table class="values compared">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">A</th>
              <th scope="col">B</th>
              <th scope="col">Difference</th>
            </tr>
          </thead>
          <tbody>
            {list.map((one) => [
              <tr key={one.name}>
                <th scope="row">
                  {one.name}
                  <span class="type">{one.type.id}</span>
                </th>
                <td data-side="A">
                  <Cell parameter={one} side="a" />
                </td>
                <td data-side="B">
                  <Cell parameter={one} side="b" />
                </td>
                <td>
                  {one.same ? (
                    <span class="muted">same</span>
                  ) : (
                    <strong class="differs">{typeof one.delta === "number" ? `${one.delta > 0 ? "+" : ""}${number(one.delta)}` : "different"}</strong>
                  )}
                </td>
              </tr>,
              <Detail key={`${one.name}-detail`} parameter={one} diff={diff} direction={direction} />,
            ])}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Cell({ parameter, side }: { parameter: ComparedParameter; side: "a" | "b" }) {
  const one = parameter[side];
  if (!one) return <span class="muted">not there</span>;
  if (isPlain(one)) return <Value value={one.value} cut={one.cut} />;
  const size = one.files.reduce((sum, file) => sum + (file.size ?? 0), 0);
  return (
    <span>
      {one.count !== null && `${one.count} items, `}
      {one.files.length ? bytes(size) : <span class="muted">{one.missing ? "missing" : one.kind === "file" || isImage(one) ? "no file" : "no value"}</span>}
    </span>
  );
}

function Detail({ parameter, diff, direction }: { parameter: ComparedParameter; diff: Diff; direction: "inputs" | "outputs" }) {
  const { a, b } = parameter;
  const lines = parameter.kind === "geometry" ? [] : (parameter.lines ?? []);
  const hasFiles = Boolean(a?.files.length && b?.files.length) && ["image", "geometry", "array"].includes(parameter.kind);
  if (!lines.length && !hasFiles) return null;
  return (
    <tr class="detail">
      <td colSpan={4}>
        {lines.length > 0 && <Lines lines={lines} />}
        {hasFiles && a && b && <CompareFiles diff={diff} direction={direction} a={a} b={b} />}
      </td>
    </tr>
  );
}

/** Lines of a unified diff. The sign stays, so that the colour is not the only mark. */
function Lines({ lines }: { lines: string[] }) {
  return (
    <pre class="diff" tabIndex={0}>
      {lines.map((line, at) => (
        <span key={at} class={line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : ""}>
          {line}
          {"\n"}
        </span>
      ))}
    </pre>
  );
}

const USAGE: [string, string, (value: number) => string][] = [
  ["cpu_seconds", "CPU time", duration],
  ["memory_peak", "Memory peak", bytes],
  ["read_bytes", "Read", bytes],
  ["written_bytes", "Written", bytes],
];

function Measures({ diff }: { diff: Diff }) {
  const [first, second] = diff.usage;
  const rows: [string, number | null, number | null, (value: number) => string][] = [
    ["Duration", diff.a.seconds, diff.b.seconds, duration],
    ...Object.entries(diff.timings).map(([name, [x, y]]): [string, number | null, number | null, (value: number) => string] => [
      `Timing: ${name.replaceAll("_", " ")}`,
      x,
      y,
      duration,
    ]),
    ...USAGE.map(([key, title, format]): [string, number | null, number | null, (value: number) => string] => [
      title,
      numberOf(first?.[key]),
      numberOf(second?.[key]),
      format,
    ]),
  ];
  const shown = rows.filter(([, x, y]) => x !== null || y !== null);
  if (!shown.length) return null;
  return (
    <section class="card" aria-label="Timings and usage">
      <header>
        <h2>Timings and usage</h2>
      </header>
      <div class="body scroll-x" tabIndex={0} role="region" aria-label="Table of timings and usage">
        <table class="measures">
          <thead>
            <tr>
              <th scope="col">Measure</th>
              {["A", "B", "Difference"].map((title) => (
                <th key={title} scope="col" class="num">
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map(([name, x, y, format]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="num">{x === null ? "-" : format(x)}</td>
                <td class="num">{y === null ? "-" : format(y)}</td>
                <td class="num muted">{x === null || y === null ? "" : change(x, y)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** How much more or less the second is, in percent; times, if it is more than twice as much. */
function change(first: number, second: number): string {
  if (first === second) return "same";
  if (!first) return "";
  const ratio = second / first;
  if (ratio >= 2) return `${number(Math.round(ratio * 10) / 10)} times`;
  const percent = Math.round((ratio - 1) * 100);
  return percent === 0 ? "less than 1 %" : `${percent > 0 ? "+" : ""}${percent} %`;
}

function Differences({ diff }: { diff: Diff }) {
  const shown = diff.differences.filter((one) => one.section !== "inputs" && one.section !== "outputs" && one.section !== "timings");
  if (!shown.length) return null;
  return (
    <section class="card" aria-label="Other differences">
      <header>
        <h2>Other differences</h2>
      </header>
      <div class="body">
        <table class="values compared">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">A</th>
              <th scope="col">B</th>
              <th scope="col">Note</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((one) => (
              <tr key={`${one.section}${one.path}`}>
                <th scope="row">
                  {one.path || one.section}
                  <span class="type">{one.section}</span>
                </th>
                <td data-side="A">
                  <Value value={one.first} />
                </td>
                <td data-side="B">
                  <Value value={one.second} />
                </td>
                <td class="muted">{[one.note, ...(one.details ?? [])].filter(Boolean).join("; ")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
