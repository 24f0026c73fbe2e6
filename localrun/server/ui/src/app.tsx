import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { exchangeCode, get, whenUnauthorized } from "./api/client";
import { hub } from "./api/hub";
import type { Session } from "./api/types";
import { KeyHelp } from "./components/key-help";
import { LiveRegion } from "./components/live-region";
import { TokenForm } from "./components/token-form";
import { Top } from "./components/top";
import { useKeys } from "./keys";
import { currentAddress, interceptLinks, navigate, useAddress } from "./router";
import { TasksView } from "./views/tasks";

type View = ComponentType<{ id: string; query: URLSearchParams; hash: string }>;

const LAZY: Record<string, () => Promise<View>> = {
  task: async () => (await import("./views/task")).TaskPage,
  run: async () => (await import("./views/run")).RunPage,
  compare: async () => (await import("./views/compare")).ComparePage,
  batches: async () => (await import("./views/batches")).BatchesPage,
  batch: async () => (await import("./views/batch")).BatchPage,
  queue: async () => (await import("./views/queue")).QueuePage,
  events: async () => (await import("./views/events")).EventsPage,
};

export function App() {
  const address = useAddress();
  const [session, setSession] = useState<Session | null>(null);
  const [problem, setProblem] = useState("");
  const [ready, setReady] = useState(false);
  const [locked, setLocked] = useState(false);
  const [help, setHelp] = useState(false);
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    whenUnauthorized(() => setLocked(true));
    void (async () => {
      setProblem(await exchangeCode());
      setReady(true);
    })();
  }, []);
  useEffect(() => {
    if (!ready || locked) return;
    get<Session>("/session").then(setSession, () => undefined);
    // lists, tasks and batches start the events after their own data
    const [view = ""] = currentAddress().path.split("/");
    if (LAZY[view] && !["task", "batch", "batches"].includes(view)) hub.startAfter("");
  }, [ready, locked]);
  useKeys({
    "?": () => setHelp((old) => !old),
    Escape: () => help && setHelp(false),
  });

  const [name = "", id = ""] = address.path.split("/");
  const unlock = (): void => {
    setLocked(false);
    setProblem("");
    setTurn((old) => old + 1);
    hub.open();
  };
  return (
    <div class="page" onClick={interceptLinks}>
      <a class="skip" href="#main" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </a>
      <Top current={name} home={session?.home ?? ""} version={session?.version ?? ""} onHelp={() => setHelp(!help)} />
      <main id="main" tabIndex={-1}>
        {problem && <div class="notice">{problem}</div>}
        {locked ? (
          <TokenForm onToken={unlock} />
        ) : (
          ready && <Current key={turn} name={name} id={decode(id)} query={address.query} hash={address.hash} />
        )}
      </main>
      <LiveRegion />
      {help && <KeyHelp onClose={() => setHelp(false)} />}
    </div>
  );
}

interface CurrentProps {
  name: string;
  id: string;
  query: URLSearchParams;
  hash: string;
}

function Current({ name, id, query, hash }: CurrentProps): ComponentChildren {
  const [views, setViews] = useState<Record<string, View>>({});
  const [failed, setFailed] = useState(false);
  const load = LAZY[name];
  useEffect(() => {
    if (!load || views[name]) return;
    load().then(
      (view) => setViews((old) => ({ ...old, [name]: view })),
      () => setFailed(true),
    );
  }, [name]);
  if (name === "") return <TasksView query={query} />;
  if (!load) return <Unknown />;
  if (failed) {
    return (
      <div class="notice error" role="alert">
        <strong>this part of the page could not be loaded</strong>
        <p class="muted">the server may have been updated: load the page again</p>
        <button type="button" onClick={() => location.reload()}>Load again</button>
      </div>
    );
  }
  const View = views[name];
  return View ? <View key={name === "task" || name === "batch" ? id : name} id={id} query={query} hash={hash} /> : null;
}

function Unknown() {
  return (
    <div class="empty">
      <h1>There is no such page</h1>
      <p>
        <button type="button" onClick={() => navigate("/ui/")}>Show all tasks</button>
      </p>
    </div>
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
