import { useState } from "preact/hooks";
import { number } from "../model/format";
import type { Shape } from "./types";

interface Props {
  shapes: readonly Shape[];
  chosen: Shape | null;
  onChoose: (shape: Shape | null) => void;
}

const PAGE = 200;

/** The geometries as a table, for the keyboard and for screen readers. */
export function ShapeTable({ shapes, chosen, onChoose }: Props) {
  const [count, setCount] = useState(PAGE);
  const names = [...new Set(shapes.flatMap((shape) => Object.keys(shape.properties.values)))];
  return (
    <details class="as-table">
      <summary>Show the geometries as a table</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label="Geometries">
        <table>
          <thead>
            <tr>
              <th scope="col">Geometry</th>
              <th scope="col">Type</th>
              {names.map((name) => (
                <th key={name} scope="col" class="num">
                  {name}
                </th>
              ))}
              <th scope="col" />
            </tr>
          </thead>
          <tbody>
            {shapes.slice(0, count).map((shape, at) => (
              <tr key={at}>
                <th scope="row">
                  {shape.properties.label || shape.properties.parameter}
                  {shape.properties.index.length > 0 && ` ${shape.properties.index.join("/")}`}
                </th>
                <td>{shape.properties.subType ?? shape.geometry.type}</td>
                {names.map((name) => {
                  const value = shape.properties.values[name];
                  return (
                    <td key={name} class="num">
                      {typeof value === "number" ? number(value) : value === undefined || value === null ? "" : String(value)}
                    </td>
                  );
                })}
                <td>
                  <button type="button" class="quiet" aria-pressed={chosen === shape} onClick={() => onChoose(chosen === shape ? null : shape)}>
                    Show
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {count < shapes.length && (
        <button type="button" onClick={() => setCount(count + PAGE)}>
          Show more ({(shapes.length - count).toLocaleString("en")})
        </button>
      )}
    </details>
  );
}
