import type { ComponentChildren } from "preact";
import type { ApiError } from "../api/client";
import type { Problem } from "../api/types";
import { Prose } from "./prose";

/** An error with its remedy, and a button to try again. */
export function ErrorNotice({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <div class="notice error" role="alert">
      <strong>{error.message}</strong>
      {error.hint && (
        <p class="muted">
          <Prose text={error.hint} />
        </p>
      )}
      {retry && (
        <p>
          <button type="button" onClick={retry}>Try again</button>
        </p>
      )}
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}

/** Rows of the height of the content that will follow. */
export function Skeleton({ rows = 4, height = 20 }: { rows?: number; height?: number }) {
  return (
    <div aria-hidden="true" class="skeletons">
      {Array.from({ length: rows }, (_, at) => (
        <div key={at} class="skeleton" style={{ height: `${height}px`, width: `${90 - ((at * 17) % 40)}%`, marginBottom: "8px" }} />
      ))}
    </div>
  );
}

export function Problems({ problems, id }: { problems: Problem[]; id?: string }) {
  if (!problems.length) return null;
  return (
    <div class="problem" {...(id ? { id } : {})}>
      {problems.map((one, at) => (
        <p key={at}>
          {one.message}
          {one.remedy && <span class="muted">
              ; <Prose text={one.remedy} />
            </span>}
        </p>
      ))}
    </div>
  );
}
