import { useEffect, useRef, useState } from "preact/hooks";
import { setToken } from "../api/token";

/** Asks for the token of the server. It is kept until the tab is closed. */
export function TokenForm({ onToken }: { onToken: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const [wrong, setWrong] = useState(false);
  useEffect(() => field.current?.focus(), []);
  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? "";
    const response = await fetch("/task/status", { headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
    if (!response || response.status === 401) return setWrong(true);
    setToken(token);
    onToken();
  };
  return (
    <form class="card token" onSubmit={(event) => void onSubmit(event)}>
      <header>
        <h1>This server needs a token</h1>
      </header>
      <div class="body">
        <p>
          Open the address that <code>localrun serve --open</code> or <code>localrun view</code> prints, or enter the token of{" "}
          <code>--token</code> or <code>LOCALRUN_TOKEN</code>.
        </p>
        <label for="token">Token</label>
        <div class="row">
          <input
            id="token"
            ref={field}
            type="password"
            autocomplete="off"
            aria-invalid={wrong}
            aria-describedby="token-problem"
          />
          <button class="primary" type="submit">
            Continue
          </button>
        </div>
        <p id="token-problem" class="problem" role="alert">
          {wrong ? "invalid token" : ""}
        </p>
        <p class="muted small">It is kept in this tab only.</p>
      </div>
    </form>
  );
}
