import { useEffect, useState } from "preact/hooks";
import { hub } from "../api/hub";
import type { Connection } from "../stream/reader";

const VIEWS: [string, string, string][] = [
  ["", "/ui/", "Tasks"],
  ["batches", "/ui/batches", "Batches"],
  ["run", "/ui/run", "Run"],
  ["queue", "/ui/queue", "Queue"],
  ["events", "/ui/events", "Events"],
];

const WORDS: Record<Connection, string> = {
  connecting: "connecting",
  live: "live",
  waiting: "reconnecting",
  closed: "not live",
  refused: "not live",
};

interface Props {
  current: string;
  home: string;
  version: string;
  onHelp: () => void;
}

export function Top({ current, home, version, onHelp }: Props) {
  const active = current === "task" || current === "compare" ? "" : current === "batch" ? "batches" : current;
  return (
    <header class="top">
      <a class="mark" href="/ui/" title={version ? `localrun ${version}` : "localrun"}>
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" fill="var(--accent)" />
          <path d="M11 8.5v15l12-7.5z" fill="var(--on-accent)" />
        </svg>
        localrun
      </a>
      <nav aria-label="Views">
        {VIEWS.map(([name, href, title]) => (
          <a key={name} href={href} {...(active === name ? { "aria-current": "page" as const } : {})}>
            {title}
          </a>
        ))}
        <a href="/docs">API</a>
      </nav>
      <div class="side">
        {home && (
          <span class="home muted small clip" title={`the tasks of the folder ${home}`}>
            {home}
          </span>
        )}
        <Connected />
        <button type="button" class="quiet" onClick={onHelp} aria-label="Keys" title="Keys (?)">
          ?
        </button>
      </div>
    </header>
  );
}

function Connected() {
  const [connection, setConnection] = useState(hub.connection);
  useEffect(() => hub.listenToConnection(setConnection), []);
  const kind = connection === "live" ? "live" : connection === "waiting" ? "waiting" : "off";
  return <span class={`connection ${kind}`}>{WORDS[connection]}</span>;
}
