interface Props {
  name: string;
  percent: number | null;
  detail: string;
  limits: { percent: number; word: string }[];
}

/** A bar with its number, and lines where something changes. */
export function Gauge({ name, percent, detail, limits }: Props) {
  const value = percent === null ? 0 : Math.min(100, Math.max(0, percent));
  const reached = limits.filter((limit) => value >= limit.percent);
  return (
    <div class={`card gauge-card${reached.length ? " reached" : ""}`}>
      <div class="gauge-head">
        <h2 class="clip" title={name}>
          {name}
        </h2>
        <strong class="num">{percent === null ? "-" : `${Math.round(percent)} %`}</strong>
      </div>
      <div class="gauge" role="meter" aria-label={name} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(value)} aria-valuetext={`${Math.round(value)} %, ${detail}`}>
        <span style={{ width: `${value}%` }} />
        {limits.map((limit) => (
          <i key={limit.word} style={{ left: `${limit.percent}%` }} title={`${limit.word} ${limit.percent} %`} />
        ))}
      </div>
      <p class="muted small">{detail}</p>
      {limits.map((limit) => (
        <p key={limit.word} class={value >= limit.percent ? "problem" : "muted small"}>
          {limit.word} {limit.percent} %
        </p>
      ))}
    </div>
  );
}
