// Shows /openapi.json. All content is set as text, never as HTML, so that it cannot inject markup.
import { kind, named, resolved, choices, setKnown } from "./schema.js";
import { make, prose, table } from "./nodes.js";
import { attempt, tokenField } from "./request.js";

function parameters(operation) {
  const found = operation.parameters || [];
  if (!found.length) return [];
  const rows = found.map((one) => [
    make("code", {}, one.name),
    one.in + (one.required ? ", required" : ""),
    kind(one.schema),
    prose(one.description),
  ]);
  return [make("h3", {}, "Parameters"), table(["name", "in", "type", "description"], rows)];
}

function fields(schema) {
  const one = resolved(schema);
  const rows = Object.entries(one.properties || {}).map(([name, inner]) => [
    make("code", {}, name),
    (one.required || []).includes(name) ? "yes" : "no",
    kind(inner),
    prose(inner.description),
  ]);
  return rows.length ? [make("p", { class: "muted" }, named(schema)), table(["key", "required", "type", "description"], rows)] : [];
}

function body(operation) {
  if (!operation.requestBody) return [];
  const [type, content] = Object.entries(operation.requestBody.content)[0];
  const schemas = choices(content.schema).length ? choices(content.schema) : [content.schema];
  const about = operation.requestBody.description;
  return [
    make("h3", {}, `Body: ${type}`),
    ...(about ? [make("p", {}, ...prose(about))] : []),
    ...schemas.flatMap(fields),
  ];
}

function answers(operation) {
  const rows = Object.entries(operation.responses).map(([status, one]) => {
    const content = Object.entries(one.content || {});
    const types = content.map(([type, inner]) => kind(inner.schema) + (type.includes("json") ? "" : ` (${type})`));
    return [make("code", {}, status), types.join(", "), one.description];
  });
  return [make("h3", {}, "Responses"), table(["status", "body", "description"], rows)];
}

function route(path, method, operation) {
  const inside = make("div", { class: "inside" });
  const details = make(
    "details",
    { id: operation.operationId, class: "route" },
    make(
      "summary",
      {},
      make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("code", {}, path),
      make("span", { class: "muted" }, operation.summary || ""),
    ),
    inside,
  );
  details.addEventListener("toggle", () => {
    if (!details.open || inside.childNodes.length) return; // made when it is opened first
    inside.append(
      make("p", {}, ...prose(operation.description)),
      ...parameters(operation),
      ...body(operation),
      ...attempt(method, path, operation),
      ...answers(operation),
    );
  });
  return details;
}

function show(api) {
  setKnown((api.components && api.components.schemas) || {});
  document.getElementById("title").textContent = `${api.info.title} ${api.info.version} HTTP API`;
  document.getElementById("about").textContent = api.info.description;
  const sections = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = (operation.tags || ["other"])[0];
      if (!sections.has(tag)) sections.set(tag, make("section", {}, make("h2", {}, tag)));
      sections.get(tag).append(route(path, method, operation));
    }
  }
  document.getElementById("routes").append(...sections.values());
  openLinked();
}

function openLinked() {
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

addEventListener("hashchange", openLinked);
tokenField();
fetch("/openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => {
    document.getElementById("about").textContent = `cannot load openapi.json: ${error}`;
  });

