// Is it learning? Curves of the run, each with the figure that it ends at.

const CURVES = [
  {
    id: "mi",
    title: "Mutual information",
    form: "fixed2",
    low: 0,
    empty: "awaits the first step",
    unit: " nats",
    lines: [
      { key: "mi_bound", name: "bound", colour: "accent", fill: true },
      { key: "mi_ceiling", name: "ceiling", colour: "soft", dash: [4, 4] },
    ],
    hint: "what radar and camera are shown to share; K negatives can show no more than the ceiling",
  },
  {
    id: "top1",
    title: "Instance top-1",
    form: "percent",
    low: 0,
    high: 1,
    empty: "awaits the first step",
    lines: [{ key: "top1", name: "top-1", colour: "accent", fill: true }],
    hint: "radar frames whose own image ranks first among all negatives",
  },
  {
    id: "retrieval",
    title: "Held-out retrieval",
    form: "percent",
    low: 0,
    high: 1,
    empty: "awaits held-out pairs",
    lines: [{ key: "retrieval", name: "retrieval", colour: "accent", fill: true }],
    hint: "unseen radar frames that find their own image",
  },
  {
    id: "accuracy",
    title: "Accuracy, unseen frames",
    form: "percent",
    low: 0,
    high: 1,
    marks: true,
    empty: "awaits labels",
    lines: [
      { key: "accuracy", name: "answers", colour: "accent", fill: true },
      { key: "head_accuracy", name: "held-out labels", colour: "soft", dash: [4, 4] },
    ],
    hint: "answers given before their labels came; dotted verticals are new models; chance is 25 %",
  },
];
const SITE_CURVES = [
  {
    id: "offset",
    title: "Clock offset",
    form: "ms",
    empty: "too few frames to tell",
    lines: [{ key: "offset_ms", name: "offset", colour: "accent" }],
    hint: "radar stamp minus camera stamp of the same moment",
  },
  {
    id: "skew",
    title: "Skew of pairs, median",
    form: "ms",
    empty: "no pair yet",
    lines: [{ key: "skew_p50_ms", name: "skew", colour: "accent" }],
    hint: "radar minus camera within a pair, offset included",
  },
];
const TABLE_ROWS = 12;

class CurveBoard {
  constructor(place, curves) {
    this.curves = curves.map((curve) => {
      const canvas = made("canvas", { class: "chart", role: "img", id: `curve-${curve.id}` });
      const value = made("b", { id: `now-${curve.id}` }, NONE);
      place.append(
        made(
          "div",
          {},
          made("div", { class: "title", title: curve.hint }, made("span", {}, curve.title), value),
          canvas,
        ),
      );
      return { ...curve, canvas, value, chart: new LineChart(canvas) };
    });
  }

  show(data, marks = []) {
    for (const curve of this.curves) {
      const x = data.at_s;
      const lines = curve.lines.map((line) => ({
        ...line,
        x,
        y: data[line.key] ?? [],
        colour: themed(line.colour),
      }));
      const values = lines.flatMap((line) => line.y.filter(known));
      const now = x.at(-1) ?? 0;
      const [low, high] = bounds(curve, values);
      curve.chart.show(lines, {
        low,
        high,
        now,
        span: Math.max(now - (x[0] ?? now), 30),
        form: FORMS[curve.form],
        axisForm: curve.form === "percent" ? (tick) => `${Math.round(100 * tick)}%` : plain,
        marks: curve.marks ? marks : [],
        empty: curve.empty,
      });
      const words = lines.map((line) => `${line.name} ${written(line.y.at(-1), curve.form)}`);
      say(
        curve.value,
        lines.map((line) => written(line.y.at(-1), curve.form)).join(" / ") + (curve.unit ?? ""),
      );
      curve.canvas.setAttribute(
        "aria-label",
        `${curve.title}: ${curve.hint}. Now: ${words.join(", ")}.`,
      );
    }
  }
}

function plain(tick) {
  return String(+tick.toPrecision(4)).replace("-", "−");
}

function bounds(curve, values) {
  const low = Math.min(curve.low ?? Infinity, ...values);
  const high = Math.max(curve.high ?? -Infinity, ...values);
  if (!known(low) || !known(high)) return [0, 1];
  if (high - low < 1e-9) return [low - 1, high + 1];
  const room = curve.low === undefined ? 0.1 * (high - low) : 0;
  return [low - room, curve.high ?? high + 0.08 * (high - low)];
}

// The same figures for those who cannot see the curves, or want to copy them; only when opened.
function fillCurveTable(data) {
  const details = $("curve-table");
  if (!details.open || !data) return;
  const keys = CURVES.flatMap((curve) =>
    curve.lines.map((line) => ({
      ...line,
      title:
        curve.lines.length > 1
          ? `${curve.title}, ${line.name}${curve.unit ? ` (${curve.unit.trim()})` : ""}`
          : curve.title,
      form: curve.form,
    })),
  );
  const head = details.querySelector("thead");
  if (!head.children.length) {
    head.append(
      made(
        "tr",
        {},
        ...["Time", "Step", ...keys.map((key) => key.title)].map((text) =>
          made("th", { scope: "col" }, text),
        ),
      ),
    );
  }
  const count = data.at_s.length;
  const every = Math.max(1, Math.ceil(count / TABLE_ROWS));
  const rows = [];
  for (let index = count - 1; index >= 0; index -= every) {
    const figures = keys.map((key) => written(data[key.key][index], key.form));
    rows.push({
      head: true,
      cells: [clock(data.at_s[index]), written(data.step[index], "count"), ...figures],
    });
  }
  fillRows(details.querySelector("tbody"), rows);
}

function clock(seconds) {
  return new Date(1000 * seconds).toLocaleTimeString([], { hour12: false });
}

function checkOf(status, name) {
  return status.health.checks.find((check) => check.name === name)?.reason ?? "not known";
}

function learningWords(status) {
  const { learner, model, score, page } = status;
  const figures = learner.figures;
  let hint = "";
  if (!learner.enabled) hint = "Learning is off: this daemon only serves.";
  else if (!learner.up) hint = `The learner is ${checkOf(status, "learner")}.`;
  else if (!figures.step && !learner.remote)
    hint = `Training starts when ${page.min_pool_pairs} pairs are in the pool; ${figures.pool ?? 0} are.`;
  else if (!figures.step) hint = "The learner has not taken a step yet: it waits for pairs.";
  else if (model && score.accuracy === null)
    hint = "No answer could be compared with a label yet: accuracy follows when labels come.";
  $("learning-hint").hidden = !hint;
  say($("learning-hint"), hint);
  const ready = learner.ready ?? {};
  say(
    $("learning-note"),
    learner.up
      ? [ready.preset, ready.teacher, ready.device, learner.remote].filter(Boolean).join(" · ")
      : "",
  );
}
