import type { Sample, TaskView } from "../api/types";
import { bytes, duration, number } from "../model/format";

interface Props {
  samples: readonly Sample[];
  view: TaskView;
  start: number;
}

/** The same as the timeline, as tables. */
export function SampleTable({ samples, view, start }: Props) {
  const { states, steps, timings } = view.timeline;
  return (
    <details class="as-table">
      <summary>Show as tables</summary>
      <div class="tables">
        <table>
          <caption>States and steps</caption>
          <thead>
            <tr>
              <th scope="col">State or step</th>
              <th scope="col" class="num">
                From
              </th>
              <th scope="col" class="num">
                Duration
              </th>
            </tr>
          </thead>
          <tbody>
            {[...states.map((one) => ({ ...one, name: one.state })), ...steps.filter((one) => one.start !== null)].map((one, at) => (
              <tr key={at}>
                <th scope="row">{one.name}</th>
                <td class="num">{duration((one.start ?? start) - start)}</td>
                <td class="num">{one.end === null ? "-" : duration(one.end - (one.start ?? start))}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {timings.length > 0 && (
          <table>
            <caption>Timings inside</caption>
            <thead>
              <tr>
                <th scope="col">Part</th>
                <th scope="col" class="num">
                  Duration
                </th>
              </tr>
            </thead>
            <tbody>
              {timings.map((one) => (
                <tr key={one.name}>
                  <th scope="row">{one.name.replaceAll("_", " ")}</th>
                  <td class="num">{duration(one.seconds)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {samples.length > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label="Samples">
            <table>
              <caption>Samples</caption>
              <thead>
                <tr>
                  {["Time", "CPUs", "CPU time", "Memory", "Read", "Written", "Processes"].map((name) => (
                    <th key={name} scope="col" class="num">
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {samples.map((one) => (
                  <tr key={one.time}>
                    <td class="num">{duration(one.time - start)}</td>
                    <td class="num">{one.cpus === null ? "-" : number(Math.round(one.cpus * 100) / 100)}</td>
                    <td class="num">{duration(one.cpu_seconds)}</td>
                    <td class="num">{bytes(one.memory)}</td>
                    <td class="num">{bytes(one.read_bytes)}</td>
                    <td class="num">{bytes(one.written_bytes)}</td>
                    <td class="num">{one.pids}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
    </details>
  );
}
