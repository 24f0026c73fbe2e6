import type { ComponentType } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Sample, TaskView } from "../api/types";
import { bytes, clock, duration, number } from "../model/format";
import { SampleTable } from "./sample-table";
import { sampleAt, scaled, seriesOf, spanOf, stateAt, zoomedTo, type Series, type Span } from "./series";
import { Marks, Segments, Ticks, type Segment } from "./strip";

interface Props {
  view: TaskView;
  samples: readonly Sample[];
  now: number;
  cursor: number | null;
  onCursor: (time: number | null) => void;
}

const DRAGGED = 0.01; // part of the timeline; less is a click

type ChartsType = ComponentType<{ series: Series; shown: Span; cpus: number | null; memoryLimit: number | null }>;

/** States, steps, CPU, memory, disk and the log of a task on one axis, with one cursor. */
export function TimelinePanel({ view, samples, now, cursor, onCursor }: Props) {
  const { timeline, usage } = view;
  const whole = spanOf(timeline, now);
  const [zoom, setZoom] = useState<Span | null>(null);
  const span = zoom ?? whole;
  const [start, end] = span;
  const begin = whole[0];
  const length = end - start;
  const series = useMemo(() => seriesOf(samples, begin), [samples, begin]);
  const at = cursor === null ? null : Math.min(Math.max(cursor, start), end);
  const plot = useRef<HTMLDivElement>(null);
  const [dragged, setDragged] = useState<Span | null>(null);
  const Charts = useCharts(samples.length > 0);
  const timeAt = (event: PointerEvent): number | null => {
    const box = plot.current?.getBoundingClientRect();
    const part = box?.width ? (event.clientX - box.left) / box.width : -1;
    return part < 0 || part > 1 ? null : start + part * length;
  };
  const onMove = (event: PointerEvent): void => {
    const time = timeAt(event);
    onCursor(time);
    if (dragged && time !== null) setDragged([dragged[0], time]);
  };
  const onDown = (event: PointerEvent): void => {
    const time = timeAt(event);
    onCursor(time);
    if (time !== null && event.button === 0) setDragged([time, time]);
  };
  const onUp = (): void => {
    if (dragged && Math.abs(dragged[1] - dragged[0]) > length * DRAGGED) setZoom(zoomedTo(whole, ...dragged));
    setDragged(null);
  };
  const zoomBy = (factor: number): void => setZoom(scaled(whole, span, factor, at));
  const states: Segment[] = timeline.states.map((one) => ({
    label: word(one.state),
    start: one.start,
    end: one.end ?? end,
    kind: `s-${one.state.toLowerCase()}`,
    title: word(one.state),
  }));
  const steps: Segment[] = timeline.steps.flatMap((one) =>
    one.start === null
      ? []
      : [
          {
            label: one.name,
            start: one.start,
            end: one.end ?? end,
            kind: one.exit_code ? "step bad" : "step",
            title: [one.name, one.how, one.message].filter(Boolean).join(", "),
          },
        ],
  );
  return (
    <section class="card wide timeline" aria-label="Timeline">
      <header>
        <h2>Timeline</h2>
        <output class="muted small readout">{at === null ? summaryOf(view, samples) : readout(view, samples, at, begin)}</output>
        <div class="row push zoom" role="group" aria-label="Zoom of the timeline">
          {zoom && (
            <button type="button" onClick={() => setZoom(null)}>
              Whole task
            </button>
          )}
          <button type="button" onClick={() => zoomBy(2)} disabled={!zoom} aria-label="Show a longer time">
            −
          </button>
          <button type="button" onClick={() => zoomBy(0.5)} aria-label="Show a shorter time" title="Show a shorter time; or drag over a part of the timeline">
            +
          </button>
        </div>
      </header>
      <div class="plots" onPointerMove={onMove} onPointerDown={onDown} onPointerUp={onUp} onPointerLeave={onUp} onDblClick={() => setZoom(null)}>
        <div class="plot-area" ref={plot}>
          {dragged && (
            <span
              class="dragged"
              style={{ left: `${((Math.min(...dragged) - start) / length) * 100}%`, width: `${(Math.abs(dragged[1] - dragged[0]) / length) * 100}%` }}
            />
          )}
          {at !== null && <span class="cursor" style={{ left: `${((at - start) / length) * 100}%` }} />}
        </div>
        <Segments name="State" span={span} segments={states} />
        {steps.length > 0 && <Segments name="Step" span={span} segments={steps} />}
        {timeline.log.length > 0 && <Ticks name="Log" span={span} times={timeline.log.map(([time]) => time)} />}
        {timeline.marks.length > 0 && <Marks span={span} marks={timeline.marks} />}
        {samples.length > 0 && (
          <div class="charts">
            {Charts && <Charts series={series} shown={[start - begin, end - begin]} cpus={usage.cpus} memoryLimit={usage.memory_limit} />}
          </div>
        )}
      </div>
      <div class="time-range">
        <input
          type="range"
          min={0}
          max={1000}
          value={at === null ? 0 : ((at - start) / length) * 1000}
          onInput={(event) => onCursor(start + (Number(event.currentTarget.value) / 1000) * length)}
          aria-label="Time in the timeline"
          aria-valuetext={at === null ? "no time chosen" : readout(view, samples, at, begin)}
        />
      </div>
      <div class="body">
        {samples.length === 0 && timeline.end !== null && (
          <p class="muted small">No CPU and memory samples: they are taken once a second while the program runs.</p>
        )}
        <SampleTable samples={samples} view={view} start={begin} />
      </div>
    </section>
  );
}

function useCharts(wanted: boolean): ChartsType | null {
  const [found, setFound] = useState<{ Charts: ChartsType } | null>(null);
  useEffect(() => {
    if (wanted && !found) {
      import("./charts").then(
        (module) => setFound({ Charts: module.default }),
        () => undefined,
      );
    }
  }, [wanted]);
  return found?.Charts ?? null;
}

function word(state: string): string {
  return state.charAt(0) + state.slice(1).toLowerCase();
}

function summaryOf(view: TaskView, samples: readonly Sample[]): string {
  const peak = view.row.memory_peak ?? (samples.length ? Math.max(...samples.map((one) => one.memory)) : null);
  const last = samples.at(-1);
  const parts = [];
  if (peak !== null) parts.push(`memory peak ${bytes(peak)}${view.usage.memory_limit ? ` of ${bytes(view.usage.memory_limit)}` : ""}`);
  if (last) parts.push(`${duration(last.cpu_seconds)} of CPU time`);
  return parts.join(", ");
}

function readout(view: TaskView, samples: readonly Sample[], time: number, start: number): string {
  const parts = [`${duration(time - start)} (${clock(time)})`, word(stateAt(view.timeline, time) ?? "")];
  const sample = sampleAt(samples, time + 0.5);
  if (sample && time - sample.time < 3) {
    if (sample.cpus !== null) parts.push(`${number(Math.round(sample.cpus * 100) / 100)} CPUs`);
    parts.push(`memory ${bytes(sample.memory)}`);
    parts.push(`${sample.pids} ${sample.pids === 1 ? "process" : "processes"}`);
  }
  return parts.filter(Boolean).join(", ");
}
