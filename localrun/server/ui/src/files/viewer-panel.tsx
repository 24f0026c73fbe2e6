import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useGet } from "../api/hooks";
import type { Parameter, TaskView } from "../api/types";
import { ErrorNotice, Skeleton } from "../components/notice";
import type { TaskImages } from "../viewer/types";
import { isGeometry, isImage } from "./parameter";
import { TextPreview } from "./text-preview";

interface Props {
  view: TaskView;
  parameter: Parameter;
  /** `outputs/mask` */
  path: string;
  onClose: () => void;
}

type ViewerType = ComponentType<{ task: string; images: TaskImages; first: string }>;

/** The file that is open: an image with geometries, or text. */
export function ViewerPanel({ view, parameter, path, onClose }: Props) {
  const isDrawn = isImage(parameter) || isGeometry(parameter);
  const images = useGet<TaskImages>(isDrawn ? `/task/${encodeURIComponent(view.row.id)}/images` : null);
  const hasImages = (images.data?.images.length ?? 0) > 0;
  const [asText, setAsText] = useState(false);
  const Viewer = useViewer(isDrawn);
  return (
    <section class="card wide viewer-panel" aria-label={`Viewer: ${path}`}>
      <header>
        <h2>{parameter.display_name || parameter.name}</h2>
        <span class="muted small clip path">{path}</span>
        {isGeometry(parameter) && hasImages && (
          <button type="button" class="push" aria-pressed={asText} onClick={() => setAsText(!asText)}>
            As text
          </button>
        )}
        <button type="button" class={`quiet${isGeometry(parameter) && hasImages ? "" : " push"}`} onClick={onClose}>
          Close
        </button>
      </header>
      {isDrawn && images.error && <ErrorNotice error={images.error} retry={images.reload} />}
      {isDrawn && !images.data && !images.error && <Skeleton rows={5} height={40} />}
      {isDrawn && images.data && hasImages && !asText && Viewer && <Viewer task={view.row.id} images={images.data} first={path} />}
      {(!isDrawn || asText || (images.data && !hasImages)) && <TextPreview parameter={parameter} />}
    </section>
  );
}

function useViewer(wanted: boolean): ViewerType | null {
  const [found, setFound] = useState<{ Viewer: ViewerType } | null>(null);
  useEffect(() => {
    if (!wanted || found) return;
    import("../viewer/viewer").then(
      (module) => setFound({ Viewer: module.default }),
      () => undefined,
    );
  }, [wanted]);
  return found?.Viewer ?? null;
}
