import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "../api/client";

interface Props {
  task: string;
  name: string;
  direction: string;
  size: number;
  alt: string;
}

/** A small picture of an image of a task, loaded when it becomes visible. Nothing is shown if there is none. */
export function Thumbnail({ task, name, direction, size, alt }: Props) {
  const place = useRef<HTMLSpanElement>(null);
  const [url, setUrl] = useState("");
  const path = `/task/${encodeURIComponent(task)}/${direction}/${name}/preview?max=${size}`;
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const abort = new AbortController();
    let made = "";
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      void load(path, abort.signal).then((found) => {
        made = found;
        if (!abort.signal.aborted) setUrl(found);
        else if (found) URL.revokeObjectURL(found);
      });
    });
    observer.observe(element);
    return () => {
      abort.abort();
      observer.disconnect();
      if (made) URL.revokeObjectURL(made);
    };
  }, [path]);
  return <span ref={place}>{url && <img class="thumb" src={url} alt={alt} />}</span>;
}

async function load(path: string, signal: AbortSignal): Promise<string> {
  try {
    const response = await request(path, { signal });
    return response.ok ? URL.createObjectURL(await response.blob()) : "";
  } catch {
    return "";
  }
}
