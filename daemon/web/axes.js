// What the cells of a heatmap stand for, where they lie on the canvas, and the axes beside them.

const GRID = JSON.parse($("grid").textContent);
const CELLS = GRID.range_m.length;
const BAR = 46; // for the colour bar and its figures
const HALF_ROW_M = (GRID.range_m[1] - GRID.range_m[0]) / 2;
const FAR_M = GRID.range_m[CELLS - 1] + HALF_ROW_M;

function gridArea(width, height) {
  return { left: 44, top: 8, wide: width - 44 - BAR, tall: height - 8 - 38 };
}

function sectorArea(width, height) {
  const [wide, tall] = [width - 44 - BAR, height - 8 - 38];
  const half = Math.min(wide / 2, tall);
  return { left: 44 + wide / 2 - half, top: 8 + (tall - half) / 2, wide: 2 * half, tall: half };
}

function gridAxes(pen, { left, top, wide, tall }) {
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const metres of ticks(0, FAR_M, 6)) {
    const y =
      top +
      tall -
      ((metres - GRID.range_m[0] + HALF_ROW_M) / (FAR_M - GRID.range_m[0] + HALF_ROW_M)) * tall;
    if (y > top + tall + 1) continue;
    stroke(pen, [
      [left - 4, y],
      [left, y],
    ]);
    pen.fillText(String(metres), left - 7, y);
  }
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const degrees of [-90, -60, -30, 0, 30, 60, 90]) {
    const x = left + columnOf(degrees) * wide;
    stroke(pen, [
      [x, top + tall],
      [x, top + tall + 4],
    ]);
    // Towards the sides the angles crowd: where there is no room the outermost speak for them.
    if (Math.abs(degrees) === 60 && wide < 420) continue;
    pen.fillText(`${degrees}°`.replace("-", "−"), x, top + tall + 6);
  }
  pen.fillText("azimuth", left + wide / 2, top + tall + 22);
  pen.save();
  pen.translate(10, top + tall / 2);
  pen.rotate(-Math.PI / 2);
  pen.textBaseline = "middle";
  pen.fillText("range (m)", 0, 0);
  pen.restore();
}

// Where an angle lies across the picture, 0 to 1, by the angles that the columns stand for.
function columnOf(degrees) {
  const angles = GRID.azimuth_deg;
  let column = angles.findIndex((angle) => angle >= degrees);
  if (column <= 0) column = 1;
  const share = (degrees - angles[column - 1]) / (angles[column] - angles[column - 1]);
  return (column - 1 + share + 0.5) / CELLS;
}

function sectorAxes(pen, { left, top, wide, tall }) {
  const [x, y] = [left + wide / 2, top + tall];
  pen.textBaseline = "top";
  pen.textAlign = "center";
  for (const metres of ticks(0, FAR_M, 5).slice(1)) {
    const radius = (metres / FAR_M) * tall;
    pen.globalAlpha = 0.45;
    pen.beginPath();
    pen.arc(x, y, radius, Math.PI, 2 * Math.PI);
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillText(String(metres), x - radius, y + 6);
    pen.fillText(String(metres), x + radius, y + 6);
  }
  pen.fillText("0", x, y + 6);
  pen.fillText("metres from the radar", x, y + 22);
  pen.textBaseline = "bottom";
  for (const degrees of [-60, -30, 30, 60]) {
    const angle = (degrees * Math.PI) / 180;
    pen.globalAlpha = 0.45;
    stroke(pen, [
      [x, y],
      [x + tall * Math.sin(angle), y - tall * Math.cos(angle)],
    ]);
    pen.globalAlpha = 1;
    pen.textAlign = degrees < 0 ? "right" : "left";
    pen.fillText(
      `${degrees}°`.replace("-", "−"),
      x + tall * Math.sin(angle),
      y - tall * Math.cos(angle),
    );
  }
}

// The cell at a place from above: `across` −1…1, `up` 0…1 of the farthest range; −1 outside.
function sectorCell(across, up) {
  const metres = Math.hypot(across, up) * FAR_M;
  const row = Math.round((metres - GRID.range_m[0]) / (2 * HALF_ROW_M));
  if (row < 0 || row >= CELLS || up < 0) return -1;
  const sine = across / Math.hypot(across, up); // columns are even steps of it
  return row * CELLS + Math.min(Math.max(Math.round(((sine + 1) / 2) * (CELLS - 1)), 0), CELLS - 1);
}

function sectorLookup(wide, tall) {
  const cells = new Int32Array(wide * tall);
  for (let y = 0; y < tall; y++) {
    for (let x = 0; x < wide; x++) {
      cells[y * wide + x] = sectorCell((2 * (x + 0.5)) / wide - 1, 1 - (y + 0.5) / tall);
    }
  }
  return { key: `${wide} ${tall}`, cells };
}
