// Line charts: few lines, named at their ends, axes with units, a reading under the pointer.

const PAD = { left: 38, right: 10, top: 8, bottom: 20 };
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

function niceStep(span, most) {
  const raw = span / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= raw * 0.999);
}

function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const step = niceStep(high - low, most);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i++)
    found.push(i * step);
  return found;
}

const TIME_STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800,
  604800,
];

// Seconds before the newest, as words on the axis.
function timeTicks(span, most) {
  const step = TIME_STEPS_S.find((candidate) => span / candidate <= most) ?? span / most;
  const found = [];
  for (let back = 0; back <= span; back += step) {
    found.push({
      at: -back,
      text: back === 0 ? "now" : `−${FORMS.duration(back).replace(THIN, " ")}`,
    });
  }
  return found;
}

// lines: [{x, y, name, colour, dash, fill, gap}], x in seconds, y null for a gap; a step of x longer
// than `gap` is one too.
// options: {low, high, span, now, form, marks: [{x, colour, text}]}
class LineChart {
  constructor(canvas) {
    this.canvas = canvas;
    this.pointer = null;
    canvas.addEventListener("pointermove", (event) => {
      this.pointer = event.offsetX;
      this.draw();
    });
    canvas.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.draw();
    });
  }

  show(lines, options) {
    this.lines = lines;
    this.options = options;
    this.draw();
  }

  draw() {
    if (!this.lines) return;
    const sheet = sharp(this.canvas);
    if (!sheet) return;
    const { pen, width, height } = sheet;
    const { low, high, span, now, form } = this.options;
    const [right, bottom] = [width - PAD.right, height - PAD.bottom];
    const px = (x) => right - ((now - x) / span) * (right - PAD.left);
    const py = (y) => bottom - ((y - low) / (high - low || 1)) * (bottom - PAD.top);
    this.axes(pen, { right, bottom, px, py });
    for (const mark of this.options.marks ?? []) {
      if (now - mark.x > span) continue;
      pen.strokeStyle = mark.colour;
      pen.setLineDash([1, 3]);
      stroke(pen, [
        [px(mark.x), PAD.top],
        [px(mark.x), bottom],
      ]);
    }
    pen.save();
    pen.beginPath();
    pen.rect(PAD.left - 1, PAD.top - 3, right - PAD.left + 4, bottom - PAD.top + 6);
    pen.clip();
    for (const line of this.lines) drawLine(pen, line, px, py, bottom);
    pen.restore();
    if (!this.lines.some((line) => line.y.some(known))) {
      pen.fillStyle = themed("soft");
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText(
        this.options.empty ?? "no figures yet",
        (PAD.left + right) / 2,
        (PAD.top + bottom) / 2 - 6,
      );
    }
    if (this.pointer !== null) this.reading(pen, { right, px, py, form });
  }

  axes(pen, { right, bottom, px, py }) {
    const { low, high, span, now, axisForm } = this.options;
    pen.strokeStyle = themed("line");
    pen.fillStyle = themed("soft");
    pen.setLineDash([]);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const tick of ticks(low, high, 4)) {
      stroke(pen, [
        [PAD.left, py(tick)],
        [right, py(tick)],
      ]);
      pen.fillText(axisForm(tick), PAD.left - 5, py(tick));
    }
    pen.textBaseline = "top";
    for (const { at: back, text } of timeTicks(span, Math.max(2, right / 90))) {
      const x = px(now + back);
      if (x < PAD.left - 1) continue;
      const room = pen.measureText(text).width / 2;
      pen.textAlign = x + room > right + PAD.right ? "right" : "center";
      pen.fillText(
        text,
        pen.textAlign === "right" ? right + PAD.right - 2 : Math.max(x, room),
        bottom + 6,
      );
      stroke(pen, [
        [x, bottom],
        [x, bottom + 3],
      ]);
    }
  }

  reading(pen, { right, px, py, form }) {
    const { now, span } = this.options;
    const x = now - ((right - this.pointer) / (right - PAD.left)) * span;
    const words = [];
    for (const line of this.lines) {
      const index = nearestIndex(line.x, x);
      if (index < 0 || line.y[index] == null) continue;
      pen.fillStyle = line.colour;
      pen.beginPath();
      pen.arc(px(line.x[index]), py(line.y[index]), 3, 0, 7);
      pen.fill();
      words.push(`${line.name} ${form(line.y[index])}`);
    }
    if (!words.length) return;
    const text = `${ago(now - x).replace(THIN, " ")}: ${words.join(", ")}`;
    const wide = pen.measureText(text).width + 8;
    const left = Math.min(Math.max(this.pointer - wide / 2, PAD.left), Math.max(right - wide, 0));
    pen.fillStyle = themed("card");
    pen.fillRect(left, 0, wide, 16);
    pen.fillStyle = themed("ink");
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(text, left + 4, 8);
  }
}

function stroke(pen, points) {
  pen.beginPath();
  points.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}

function drawLine(pen, line, px, py, bottom) {
  pen.strokeStyle = line.colour;
  pen.lineWidth = line.width ?? 1.6;
  pen.lineJoin = "round";
  pen.setLineDash(line.dash ?? []);
  const pieces = [[]];
  line.x.forEach((x, index) => {
    if (line.y[index] == null) return pieces.push([]);
    if (x - line.x[index - 1] > line.gap) pieces.push([]);
    return pieces.at(-1).push([px(x), py(line.y[index])]);
  });
  for (const piece of pieces) {
    if (line.fill && piece.length > 1) {
      pen.globalAlpha = 0.12;
      pen.fillStyle = line.colour;
      pen.beginPath();
      pen.moveTo(piece[0][0], bottom);
      piece.forEach(([x, y]) => pen.lineTo(x, y));
      pen.lineTo(piece.at(-1)[0], bottom);
      pen.fill();
      pen.globalAlpha = 1;
    }
    if (piece.length === 1) pen.fillRect(piece[0][0] - 1, piece[0][1] - 1, 2, 2);
    else stroke(pen, piece);
  }
  pen.lineWidth = 1;
  pen.setLineDash([]);
}

function nearestIndex(sorted, x) {
  let best = -1;
  for (let i = 0; i < sorted.length; i++) {
    if (best < 0 || Math.abs(sorted[i] - x) < Math.abs(sorted[best] - x)) best = i;
  }
  return best;
}
