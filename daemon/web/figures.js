// How figures are written: the same everywhere, with their units, and – where there is none.

const NONE = "–";
const THIN = "\u202f";
const $ = (id) => document.getElementById(id);
const known = (value) => typeof value === "number" && Number.isFinite(value);

const fixed = (value, digits) => value.toFixed(digits).replace("-", "−");

function grouped(value, digits) {
  const [whole, rest] = fixed(value, digits).split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN);
  return rest === undefined ? spaced : `${spaced}.${rest}`;
}

const FORMS = {
  count: (value) => grouped(value, 0),
  fixed1: (value) => grouped(value, 1),
  fixed2: (value) => grouped(value, 2),
  percent: (value) => `${fixed(100 * value, 1)}${THIN}%`,
  ms: (value) => `${fixed(value, 1)}${THIN}ms`,
  hz: (value) => `${fixed(value, 1)}${THIN}Hz`,
  nats: (value) => `${fixed(value, 2)}${THIN}nats`,
  bytes: (value) =>
    value < 1e9
      ? `${(value / 2 ** 20).toFixed(0)}${THIN}MiB`
      : `${(value / 2 ** 30).toFixed(1)}${THIN}GiB`,
  duration(value) {
    if (value < 120) return `${value.toFixed(0)}${THIN}s`;
    if (value < 7200) return `${(value / 60).toFixed(0)}${THIN}min`;
    if (value < 172800) return `${(value / 3600).toFixed(1)}${THIN}h`;
    return `${(value / 86400).toFixed(1)}${THIN}d`;
  },
};

function written(value, form) {
  if (typeof value === "string") return value;
  return known(value) ? FORMS[form](value) : NONE;
}

function at(values, path) {
  return path.split(".").reduce((value, key) => (value == null ? undefined : value[key]), values);
}

// Every element with data-path shows the figure of that path in /statusz.
function fillFigures(status) {
  for (const element of document.querySelectorAll("[data-path]")) {
    say(element, written(at(status, element.dataset.path), element.dataset.form));
  }
}

// Touch the document only where it changes: screen readers and selections stay at peace.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function made(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// Rows of a table body: keep what is the same, so that nothing flickers under a pointer.
function fillRows(body, rows) {
  const key = JSON.stringify(rows.map((row) => [row.current, row.zero, row.cells]));
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  body.replaceChildren(
    ...rows.map(({ current, zero, cells, head }) => {
      const row = made("tr", {
        "aria-current": current ? "true" : undefined,
        class: zero ? "zero" : undefined,
      });
      row.append(
        ...cells.map((cell, index) => {
          if (Array.isArray(cell) && typeof cell[0] === "number") return barCell(...cell);
          const [text, style, span] = Array.isArray(cell) ? cell : [cell];
          const first = head && index === 0;
          return made(
            first ? "th" : "td",
            { class: style, colspan: span, scope: first ? "row" : undefined },
            text,
          );
        }),
      );
      return row;
    }),
  );
}

// A share as a figure and as a length.
function barCell(share, note) {
  const fill = made("div", { class: "fill", "data-class": "none" });
  fill.style.width = `${100 * share}%`;
  return made(
    "td",
    {},
    `${written(share, "percent")} · ${note}`,
    made("div", { class: "track", "aria-hidden": "true" }, fill),
  );
}

const CLASS_WORDS = { empty: "Empty", pedestrian: "Pedestrian", cyclist: "Cyclist", car: "Car" };
const word = (name) => CLASS_WORDS[name] ?? name;

function ago(seconds) {
  return `${FORMS.duration(Math.max(seconds, 0))} ago`;
}
