import { KEYS } from "../keys";

export function KeyHelp({ onClose }: { onClose: () => void }) {
  return (
    <aside class="keys" aria-label="Keys">
      <div class="row">
        <h2>Keys</h2>
        <button type="button" class="quiet push" onClick={onClose}>
          Close
        </button>
      </div>
      <dl>
        {KEYS.map(([key, what]) => [
          <dt key={key}>
            {key.split(" ").map((one, at) => [at ? " " : "", <kbd key={one}>{one}</kbd>])}
          </dt>,
          <dd key={what}>{what}</dd>,
        ])}
      </dl>
    </aside>
  );
}
