// Reads the schemas of the OpenAPI document.

let schemas = {};

export function setKnown(found) {
  schemas = found;
}

export function named(schema) {
  return schema && schema.$ref ? schema.$ref.split("/").pop() : "";
}

export function resolved(schema) {
  return (schema && schema.$ref ? schemas[named(schema)] : schema) || {};
}

export function choices(schema) {
  return schema.anyOf || schema.oneOf || [];
}

export function kind(schema) {
  if (!schema) return "";
  if (schema.$ref) return named(schema);
  if (choices(schema).length) return choices(schema).map(kind).join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${kind(schema.items) || "anything"}`;
  return schema.format || schema.type || "anything";
}

// The words that a parameter can be, if there is a list of them.
export function words(schema) {
  const one = resolved(schema);
  if (one.enum) return one.enum.map(String);
  if (one.type === "boolean") return ["true", "false"];
  return choices(one).flatMap(words);
}

export function example(schema, depth = 0) {
  const one = resolved(schema);
  if (one.examples) return one.examples[one.examples.length - 1];
  if (choices(one).length) return example(choices(one)[0], depth);
  if (one.properties && depth < 4) {
    const required = Object.entries(one.properties).filter(([name]) => (one.required || []).includes(name));
    const shown = required.length ? required : Object.entries(one.properties);
    return Object.fromEntries(shown.map(([name, inner]) => [name, example(inner, depth + 1)]));
  }
  const plain = { string: "text", integer: 1, number: 1, boolean: true, array: [], object: {} };
  return one.const ?? one.default ?? (one.type in plain ? plain[one.type] : null);
}

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// The command that sends the same request.
export function curl({ method, url, json, file, token }) {
  const parts = ["curl"];
  if (method !== "get") parts.push("-X", method.toUpperCase());
  if (token) parts.push("-H", '"Authorization: Bearer $LOCALRUN_TOKEN"');
  if (json !== undefined) parts.push("-H", "'Content-Type: application/json'", "-d", quoted(json));
  if (file !== undefined) parts.push("--data-binary", quoted(`@${file || "FILE"}`));
  return [...parts, quoted(location.origin + url)].join(" ");
}
