// Makes elements from text.

export function make(tag, attributes = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside.filter((part) => part !== null && part !== undefined));
  return node;
}

// Words between backticks are shown as code.
export function prose(text) {
  return (text || "").split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));
}

export function table(heads, rows) {
  const cells = (tag, row, more = {}) => row.map((one) => make(tag, more, ...[one].flat()));
  return make(
    "div",
    { class: "scroll", tabindex: "0" }, // to scroll it with the keyboard
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...cells("th", heads, { scope: "col" }))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells("td", row)))),
    ),
  );
}
