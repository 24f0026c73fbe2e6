// A form to send the request of a route, and its response.
import { make } from "./nodes.js";
import { curl, example, kind, words } from "./schema.js";

const TOKEN = "localrun.token"; // as in the web page
const SHOWN = 200_000; // characters of a response

const token = () => sessionStorage.getItem(TOKEN) || "";

export function tokenField() {
  const form = document.getElementById("token-form");
  const input = document.getElementById("token");
  input.value = token();
  input.addEventListener("input", () => sessionStorage.setItem(TOKEN, input.value.trim()));
  form.addEventListener("submit", (event) => event.preventDefault());
  fetch("/session")
    .then((answer) => answer.json())
    .then((session) => {
      form.hidden = !session.token_required;
    })
    .catch(() => undefined);
}

function parameterField(id, one) {
  const list = words(one.schema);
  const field = list.length
    ? make("select", { id }, make("option", { value: "" }), ...list.map((word) => make("option", { value: word }, word)))
    : make("input", { id, autocomplete: "off", placeholder: one.required ? "required" : String(one.schema?.default ?? kind(one.schema)) });
  return [make("label", { for: id }, make("code", {}, one.name)), field];
}

export function attempt(method, path, operation) {
  const found = operation.parameters || [];
  const inputs = new Map();
  const rows = found.flatMap((one) => {
    const [label, field] = parameterField(`${operation.operationId}-${one.name}`, one);
    inputs.set(one, field);
    return [label, field];
  });
  const body = bodyField(operation);
  const send = make("button", { type: "submit", class: "primary" }, "Send");
  const stop = make("button", { type: "button", hidden: "" }, "Stop");
  const command = make("pre", { tabindex: "0", "aria-label": "curl command" });
  const shown = make("div", { "aria-live": "polite" });
  const form = make(
    "form",
    { class: "try" },
    make("h3", {}, "Send a request"),
    ...(rows.length ? [make("div", { class: "fields" }, ...rows)] : []),
    ...(body ? [body.node] : []),
    make("div", { class: "row" }, send, stop),
    command,
    shown,
  );
  const describe = () => {
    const request = requestOf(method, path, inputs, body);
    command.textContent = curl({ ...request, token: token() });
    return request;
  };
  form.addEventListener("input", describe);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const abort = new AbortController();
    const onStop = () => abort.abort();
    send.disabled = true;
    stop.hidden = false;
    stop.addEventListener("click", onStop, { once: true });
    try {
      await exchange(describe(), shown, abort.signal);
    } finally {
      send.disabled = false;
      stop.hidden = true;
      stop.removeEventListener("click", onStop);
    }
  });
  describe();
  return [form];
}

function bodyField(operation) {
  const content = operation.requestBody && operation.requestBody.content;
  if (!content) return null;
  const id = `${operation.operationId}-body`;
  if (content["application/json"]) {
    const field = make("textarea", { id, spellcheck: "false" });
    field.value = JSON.stringify(example(content["application/json"].schema), null, 2);
    return { node: make("div", {}, make("label", { for: id }, "Body, JSON"), field), json: () => field.value };
  }
  const field = make("input", { id, type: "file" });
  return { node: make("div", { class: "row" }, make("label", { for: id }, "Body, a file"), field), file: () => field.files[0] };
}

function requestOf(method, path, inputs, body) {
  let url = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const [one, field] of inputs) {
    const value = field.value;
    if (one.in === "path") url = url.replace(new RegExp(`{${one.name}(:path)?}`), encodePath(value) || one.name.toUpperCase());
    else if (one.in === "query" && value !== "") query.append(one.name, value);
    else if (one.in === "header" && value !== "") headers[one.name] = value;
  }
  const file = body?.file?.();
  return {
    method,
    headers,
    url: query.size ? `${url}?${query}` : url,
    json: body?.json ? body.json() : undefined,
    file: body?.file ? file?.name || "" : undefined,
    content: body?.json ? body.json() : file,
  };
}

const encodePath = (text) => text.split("/").map(encodeURIComponent).join("/");

async function exchange(request, shown, signal) {
  const status = make("p", { class: "status" }, "sent ...");
  const text = make("pre", { tabindex: "0", "aria-label": "Response" });
  shown.replaceChildren(status, text);
  try {
    const headers = { ...request.headers };
    if (token()) headers.Authorization = `Bearer ${token()}`;
    if (request.json !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(request.url, { method: request.method.toUpperCase(), headers, body: request.content, signal });
    const type = answer.headers.get("content-type") || "";
    status.textContent = `${answer.status} ${answer.statusText} ${type}`;
    status.classList.toggle("problem", !answer.ok);
    await showBody(answer, type, text, shown);
  } catch (error) {
    if (signal.aborted) status.textContent += " (stopped)";
    else {
      status.textContent = `no response: ${error.message}`;
      status.classList.add("problem");
    }
  }
}

async function showBody(answer, type, text, shown) {
  if (!/json|text|event-stream/.test(type)) {
    const data = await answer.blob();
    text.textContent = `${data.size} bytes`;
    const link = make("a", { href: URL.createObjectURL(data), download: "response" }, "Save");
    shown.append(make("p", {}, link));
    return;
  }
  if (/json/.test(type)) {
    const found = await answer.text();
    text.textContent = cut(indented(found));
    return;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text.textContent = cut(text.textContent + part.value);
  }
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const cut = (text) => (text.length > SHOWN ? `${text.slice(0, SHOWN)}\n... (cut)` : text);
