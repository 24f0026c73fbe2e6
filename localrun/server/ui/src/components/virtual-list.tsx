import type { ComponentChildren, Ref } from "preact";
import { useCallback, useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface ListHandle {
  scrollTo(index: number, where?: "nearest" | "center"): void;
  element(): HTMLElement | null;
}

interface Props {
  count: number;
  rowHeight: number;
  /** Renders one row; it must be `rowHeight` pixels high, or at least that if the list `wraps`. */
  row: (index: number) => ComponentChildren;
  label: string;
  role?: "list" | "rowgroup" | "log";
  class?: string;
  /** Rows may be higher than `rowHeight`. */
  wraps?: boolean;
  /** Keep the last row visible while rows are added. */
  follow?: boolean;
  onUserScroll?: (atEnd: boolean) => void;
  /** The rows that are shown, from `first` up to but without `last`. */
  onRange?: (first: number, last: number) => void;
  handle?: Ref<ListHandle>;
}

const OVERSCAN = 12;
const MAX_HEIGHT = 8_000_000; // pixels; browsers limit the height of an element

/** A list of any length of which only the visible rows are in the document. */
export function VirtualList(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  const shown = useRef<HTMLDivElement>(null);
  // what the list is longer, so that its last rows can be reached although they are higher than `rowHeight`
  const [extra, setExtra] = useState(0);
  const full = props.count * props.rowHeight + extra;
  const height = Math.min(full, MAX_HEIGHT);
  const scale = full > height ? (full - view.height) / Math.max(1, height - view.height) : 1;
  const measure = useCallback(() => {
    const element = box.current;
    if (element) setView({ top: element.scrollTop, height: element.clientHeight });
  }, []);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = box.current;
    if (props.follow && element) element.scrollTop = element.scrollHeight;
  }, [props.follow, props.count, extra]);

  useImperativeHandle(props.handle ?? null, () => ({
    element: () => box.current,
    scrollTo(index, where = "nearest") {
      const element = box.current;
      if (!element) return;
      const top = index * props.rowHeight;
      const shown = element.scrollTop * scale;
      const inside = element.clientHeight;
      if (props.wraps) element.scrollTop = top / scale; // the rows above may be high
      else if (where === "center") element.scrollTop = (top - inside / 2) / scale;
      else if (top < shown) element.scrollTop = top / scale;
      else if (top + props.rowHeight > shown + inside) element.scrollTop = (top + props.rowHeight - inside) / scale;
    },
  }));

  const touched = useRef(0);
  const onInput = (): void => {
    touched.current = Date.now();
  };
  const onScroll = (): void => {
    measure();
    const element = box.current;
    const isUser = Date.now() - touched.current < 700; // rows that are added scroll too
    if (element && isUser) props.onUserScroll?.(element.scrollTop + element.clientHeight >= element.scrollHeight - 4);
  };
  useEffect(measure, [props.count]);

  const top = view.top * scale;
  const at = Math.min(Math.floor(top / props.rowHeight), props.count - 1);
  const first = Math.max(0, at - (props.wraps ? 0 : OVERSCAN));
  const last = Math.min(props.count, Math.ceil((top + view.height) / props.rowHeight) + OVERSCAN);
  useEffect(() => props.onRange?.(first, last), [first, last, props.count]);
  useLayoutEffect(() => {
    if (!props.wraps) return setExtra(0);
    if (last === props.count && box.current && shown.current) setExtra(roomFor(shown.current, box.current, props));
  });
  const rows = [];
  for (let index = first; index < last; index += 1) rows.push(props.row(index));
  const offset = view.top + first * props.rowHeight - top;
  return (
    <div
      class={`virtual ${props.class ?? ""}`}
      ref={box}
      onScroll={onScroll}
      onWheel={onInput}
      onPointerDown={onInput}
      onPointerMove={(event) => event.buttons && onInput()}
      onTouchMove={onInput}
      onKeyDown={onInput}
      role={props.role ?? "list"}
      aria-label={props.label}
      tabIndex={0}
    >
      <div class="virtual-full" role="presentation" style={{ height: `${height}px` }}>
        <div class="virtual-rows" ref={shown} role="presentation" style={{ transform: `translateY(${offset}px)` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}

/** The pixels to add to a list of rows of `rowHeight`, the last of which are rendered, so that it ends with the last row. */
function roomFor(rows: HTMLElement, box: HTMLElement, { count, rowHeight }: Props): number {
  const room = parseFloat(getComputedStyle(box).maxHeight) || box.clientHeight;
  let height = 0;
  let fitting = 0;
  for (let row = rows.lastElementChild; row instanceof HTMLElement && height + row.offsetHeight <= room; row = row.previousElementSibling) {
    height += row.offsetHeight;
    fitting += 1;
  }
  // a row that is shown first moves by one `rowHeight` while the list is scrolled by as much
  return fitting === count ? height - count * rowHeight : Math.max(0, room - fitting * rowHeight);
}
