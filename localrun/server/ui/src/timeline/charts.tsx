import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { bytes, number } from "../model/format";
import type { Series, Span } from "./series";

const MARGIN = 76; // pixels left of the plots, as in timeline.css
const RIGHT = 16;
const HEIGHT = 92;
const AXIS = 26;
// seconds between the ticks of the time axis
const STEPS = [0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800];

interface Props {
  series: Series;
  /** The seconds that are shown, from the start of the series. */
  shown: Span;
  cpus: number | null;
  memoryLimit: number | null;
}

/** CPU, memory with its limit, and disk, on the axis of the timeline. */
export default function Charts({ series, shown, cpus, memoryLimit }: Props) {
  const highest = Math.max(0, ...series.memory);
  const shownLimit = memoryLimit !== null && memoryLimit <= highest * 4 ? memoryLimit : null;
  const shownCpus = cpus !== null && cpus <= Math.max(0.25, ...series.cpus.map((one) => one ?? 0)) * 4 ? cpus : null;
  return (
    <>
      <Chart
        label="CPUs"
        shown={shown}
        times={series.times}
        lines={[{ name: "CPUs", values: series.cpus, colour: "--cpu", fill: true }]}
        limit={shownCpus}
        note={cpus === null ? "" : `${number(cpus)} reserved`}
        format={number}
      />
      <Chart
        label="Memory"
        shown={shown}
        times={series.times}
        lines={[{ name: "Memory", values: series.memory, colour: "--memory", fill: true }]}
        limit={shownLimit}
        note={memoryLimit === null ? "" : `limit ${bytes(memoryLimit)}`}
        format={bytes}
        isBytes
      />
      <Chart
        label="Disk"
        shown={shown}
        times={series.times}
        lines={[
          { name: "Written", values: series.written, colour: "--disk", fill: true },
          { name: "Read", values: series.read, colour: "--cpu", fill: false },
        ]}
        limit={null}
        note="per second; solid: written, dashed: read"
        format={bytes}
        isBytes
        axis
      />
    </>
  );
}

interface Line {
  name: string;
  values: (number | null)[];
  colour: string;
  fill: boolean;
}

interface ChartProps {
  label: string;
  shown: Span;
  times: number[];
  lines: Line[];
  limit: number | null;
  note: string;
  format: (value: number) => string;
  isBytes?: boolean;
  axis?: boolean;
}

function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const hasLimit = props.limit !== null;

  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const make = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(options(latest, element), dataOf(latest.current), element);
    };
    make();
    const resize = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: heightOf(latest.current) }),
    );
    resize.observe(element);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", make);
    return () => {
      theme.removeEventListener("change", make);
      resize.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [hasLimit]);
  useEffect(() => plot.current?.setData(dataOf(props)), [props.times, props.lines, props.limit, props.shown[0], props.shown[1]]);
  return (
    <div class="chart" aria-hidden="true">
      <span class="lane-name">{props.label}</span>
      <span class="chart-note">{props.note}</span>
      <div ref={place} />
    </div>
  );
}

function heightOf(props: ChartProps): number {
  return HEIGHT + (props.axis ? AXIS : 0);
}

function dataOf(props: ChartProps): uPlot.AlignedData {
  const columns = props.lines.map((line) => line.values);
  return [props.times, ...columns] as uPlot.AlignedData;
}

function options(latest: { current: ChartProps }, element: HTMLElement): uPlot.Options {
  const props = latest.current;
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--muted"), font: "11px system-ui, sans-serif", grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return {
    width: element.clientWidth || 600,
    height: heightOf(props),
    padding: [10, RIGHT, props.axis ? 0 : 6, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: {
      x: { time: false, range: () => latest.current.shown },
      y: { range: (_, __, max) => [0, top(Math.max(max, latest.current.limit ?? 0), Boolean(props.isBytes))] },
    },
    axes: [
      {
        ...axis,
        show: true,
        size: props.axis ? AXIS : 0,
        values: (_, splits) => (props.axis ? splits.map(tick) : splits.map(() => "")),
        space: 90,
        incrs: STEPS,
      },
      {
        ...axis,
        size: MARGIN,
        gap: 6,
        space: 32,
        values: (_, splits) => splits.map((one) => (one === 0 ? "0" : props.format(one))),
        splits: (_, __, ___, max) => [0, max / 2, max],
      },
    ],
    series: [
      {},
      ...props.lines.map((line, at) => ({
        label: line.name,
        stroke: colour(line.colour),
        width: 1.6,
        ...(line.fill ? { fill: `color-mix(in srgb, ${colour(line.colour)} 14%, transparent)` } : { dash: [5, 3] }),
        points: { show: latest.current.times.length < 3, size: 5 + at },
        spanGaps: true,
      })),
    ],
    hooks: { draw: [(plot) => drawLimit(plot, latest.current.limit, colour("--failed"))] },
  };
}

/** A line across the plot, also where there is no sample. */
function drawLimit(plot: uPlot, limit: number | null, colour: string): void {
  if (limit === null) return;
  const { ctx, bbox } = plot;
  const y = Math.round(plot.valToPos(limit, "y", true)) + 0.5;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** `12 s`, `4 min`, `4:30 min`, `2 h`, without what the step between ticks does not need. */
function tick(seconds: number): string {
  if (seconds === 0) return "0";
  if (seconds < 60) return `${Number(seconds.toFixed(3))} s`;
  const whole = Math.round(seconds);
  const rest = whole % 60;
  if (whole < 3600) return rest ? `${Math.floor(whole / 60)}:${String(rest).padStart(2, "0")} min` : `${whole / 60} min`;
  const minutes = Math.floor((whole % 3600) / 60);
  return minutes ? `${Math.floor(whole / 3600)}:${String(minutes).padStart(2, "0")} h` : `${Math.floor(whole / 3600)} h`;
}

/** The end of the y axis: a round number above the highest value. */
function top(highest: number, isBytes: boolean): number {
  if (!(highest > 0)) return isBytes ? 1024 ** 2 : 1;
  const wanted = highest * 1.12;
  const base = isBytes ? 1024 ** Math.floor(Math.log(wanted) / Math.log(1024)) : 10 ** Math.floor(Math.log10(wanted));
  const steps = isBytes ? [1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 384, 512, 768, 1024] : [1, 1.2, 1.6, 2, 3, 4, 6, 8, 10];
  return base * (steps.find((step) => step * base >= wanted) ?? 1);
}
