import { useState } from "preact/hooks";
import { ApiError, send } from "../api/client";
import { useGet } from "../api/hooks";
import type { BundleEntry } from "../api/types";
import { ErrorNotice, Skeleton } from "../components/notice";
import { navigate } from "../router";
import { BundleList } from "./no-tasks";

/** The bundles that the server knows, and an upload of another one. */
export function BundleChoice({ problem }: { problem: string }) {
  const bundles = useGet<{ bundles: BundleEntry[] }>("/bundle");
  const [search, setSearch] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const upload = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    setError(null);
    setBusy(true);
    try {
      const response = await send("/bundle", { method: "POST", body: file, headers: { "Content-Type": "application/zip" } });
      const { name } = (await response.json()) as { name: string };
      navigate(`/ui/run?bundle=${encodeURIComponent(name)}`);
    } catch (found) {
      setError(ApiError.of(found));
    } finally {
      setBusy(false);
    }
  };
  const words = search.toLowerCase();
  const shown = (bundles.data?.bundles ?? []).filter((one) => `${one.title} ${one.reference} ${one.description}`.toLowerCase().includes(words));
  return (
    <>
      <div class="view-head">
        <h1>Run a bundle</h1>
      </div>
      {problem && <p class="notice">{problem}</p>}
      <section
        class="card"
        aria-label="Bundles"
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          void upload(event.dataTransfer?.files[0]);
        }}
      >
        <header>
          <input type="search" aria-label="Search bundles" placeholder="Search bundles" value={search} onInput={(event) => setSearch(event.currentTarget.value)} />
          <label class="button push" for="bundle-file">
            {busy ? "Uploading" : "Upload a bundle (zip)"}
          </label>
          <input id="bundle-file" class="hidden-text" type="file" accept=".zip" onChange={(event) => void upload(event.currentTarget.files?.[0])} />
        </header>
        <div class="body">
          {error && <ErrorNotice error={error} />}
          {bundles.error && <ErrorNotice error={bundles.error} retry={bundles.reload} />}
          {!bundles.data && !bundles.error && <Skeleton rows={5} />}
          <BundleList bundles={shown} />
          {bundles.data && shown.length === 0 && (
            <p class="empty">
              {bundles.data.bundles.length ? "No bundle matches." : "No bundles yet: upload one, or start the server with --bundles FOLDER."}
            </p>
          )}
        </div>
      </section>
    </>
  );
}
