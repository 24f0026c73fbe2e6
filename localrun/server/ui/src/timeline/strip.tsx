import type { ComponentChildren } from "preact";
import { clock, duration } from "../model/format";
import type { Span } from "./series";

export interface Segment {
  label: string;
  start: number;
  end: number;
  kind: string;
  title: string;
}

interface Props {
  name: string;
  span: Span;
  children: ComponentChildren;
}

/** One line of the timeline: its name in the margin, and its content on the common axis. */
export function Lane({ name, children }: Omit<Props, "span">) {
  return (
    <div class="lane">
      <span class="lane-name">{name}</span>
      <div class="lane-plot">{children}</div>
    </div>
  );
}

export function Segments({ name, span, segments }: { name: string; span: Span; segments: Segment[] }) {
  const [start, end] = span;
  const place = (time: number): number => Math.min(100, Math.max(0, ((time - start) / (end - start)) * 100));
  return (
    <Lane name={name}>
      {segments.filter((one) => one.start <= end && one.end >= start).map((one) => {
        const left = place(one.start);
        const width = Math.max(0.15, place(one.end) - left);
        return (
          <span
            key={`${one.label}${one.start}`}
            class={`segment ${one.kind}`}
            style={{ left: `${left}%`, width: `${width}%` }}
            title={`${one.title}: ${duration(one.end - one.start)}`}
          >
            <span>{one.label}</span>
          </span>
        );
      })}
    </Lane>
  );
}

/** Short vertical lines at times. */
export function Ticks({ name, span, times }: { name: string; span: Span; times: number[] }) {
  const [start, end] = span;
  const path = times.filter((time) => time >= start && time <= end).map((time) => `M${(((time - start) / (end - start)) * 1000).toFixed(2)} 0V1`).join("");
  return (
    <Lane name={name}>
      <svg class="ticks" viewBox="0 0 1000 1" preserveAspectRatio="none" aria-hidden="true">
        <path d={path} vector-effect="non-scaling-stroke" />
      </svg>
    </Lane>
  );
}

export function Marks({ span, marks }: { span: Span; marks: { time: number; kind: string; message: string }[] }) {
  const [start, end] = span;
  return (
    <Lane name="Events">
      {marks.filter((mark) => mark.time >= start && mark.time <= end).map((mark, at) => (
        <span
          key={at}
          class={`mark-at ${mark.kind}`}
          style={{ left: `${((mark.time - start) / (end - start)) * 100}%` }}
          title={`${clock(mark.time)}: ${mark.message}`}
        />
      ))}
    </Lane>
  );
}
