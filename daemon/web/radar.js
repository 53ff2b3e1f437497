// The radar picture: cell by cell over range and azimuth, or from above in metres.

const MAP = colourMap();

class RadarPicture {
  constructor(canvas) {
    this.canvas = canvas;
    this.shape = "grid";
    this.frame = null;
    this.scale = null;
    this.cursor = null;
    this.cells = new OffscreenCanvas(CELLS, CELLS);
    canvas.addEventListener("pointermove", (event) =>
      this.point(this.cellAt(event.offsetX, event.offsetY)),
    );
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("blur", () => this.point(null));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  show(frame) {
    const text = atob(frame.cells);
    this.frame = { ...frame, values: Uint8Array.from(text, (letter) => letter.charCodeAt(0)) };
    this.rescale();
    this.draw();
  }

  forget() {
    this.frame = this.scale = this.cursor = null;
    this.draw();
  }

  db(row, column) {
    return this.frame.top_db - (255 - this.frame.values[row * CELLS + column]) * this.frame.step_db;
  }

  // From the median, which is noise, to the strongest cell; followed slowly, or it would flicker.
  rescale() {
    const { values, top_db: top, step_db: step } = this.frame;
    const median = top - (255 - values.slice().sort()[values.length >> 1]) * step;
    const wanted = { low: median - 2, high: Math.max(top, median + 10) };
    const part = this.scale && this.scale.view === this.frame.view ? 0.15 : 1;
    const from = this.scale ?? wanted;
    this.scale = {
      view: this.frame.view,
      low: from.low + part * (wanted.low - from.low),
      high: from.high + part * (wanted.high - from.high),
    };
  }

  colourOf(value) {
    const db = this.frame.top_db - (255 - value) * this.frame.step_db;
    const share = (db - this.scale.low) / (this.scale.high - this.scale.low);
    return 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
  }

  draw() {
    const sheet = sharp(this.canvas);
    if (!sheet) return;
    const { pen, width, height } = sheet;
    this.area = this.shape === "grid" ? gridArea(width, height) : sectorArea(width, height);
    if (this.frame) this.shape === "grid" ? this.drawGrid(pen) : this.drawSector(pen);
    pen.fillStyle = themed("soft");
    pen.strokeStyle = themed("soft");
    this.shape === "grid" ? gridAxes(pen, this.area) : sectorAxes(pen, this.area);
    if (this.frame) this.bar(pen, width);
    if (this.frame && this.cursor) this.cross(pen);
  }

  drawGrid(pen) {
    const image = new ImageData(CELLS, CELLS);
    const palette = Array.from({ length: 256 }, (_, value) => this.colourOf(value));
    for (let row = 0; row < CELLS; row++) {
      for (let column = 0; column < CELLS; column++) {
        const from = palette[this.frame.values[row * CELLS + column]];
        const to = 4 * ((CELLS - 1 - row) * CELLS + column); // nearest at the bottom
        image.data.set([MAP[from], MAP[from + 1], MAP[from + 2], 255], to);
      }
    }
    this.cells.getContext("2d").putImageData(image, 0, 0);
    const { left, top, wide, tall } = this.area;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.cells, left, top, wide, tall);
  }

  drawSector(pen) {
    const { left, top, wide, tall } = this.area;
    const [across, down] = [Math.round(wide), Math.round(tall)];
    if (this.lookup?.key !== `${across} ${down}`) this.lookup = sectorLookup(across, down);
    const palette = Array.from({ length: 256 }, (_, value) => this.colourOf(value));
    const image = new ImageData(across, down);
    this.lookup.cells.forEach((cell, pixel) => {
      if (cell < 0) return;
      const from = palette[this.frame.values[cell]];
      image.data.set([MAP[from], MAP[from + 1], MAP[from + 2], 255], 4 * pixel);
    });
    const picture = new OffscreenCanvas(across, down);
    picture.getContext("2d").putImageData(image, 0, 0);
    pen.drawImage(picture, left, top, wide, tall);
  }

  bar(pen, width) {
    const { top, tall } = this.area;
    const left = width - BAR + 12;
    for (let y = 0; y < tall; y++) {
      const from = 3 * Math.round(255 * (1 - y / tall));
      pen.fillStyle = `rgb(${MAP[from]} ${MAP[from + 1]} ${MAP[from + 2]})`;
      pen.fillRect(left, top + y, 8, 1.5);
    }
    pen.fillStyle = themed("soft");
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    const { low, high } = this.scale;
    for (const tick of ticks(low, high, 5)) {
      const y = top + tall - ((tick - low) / (high - low)) * tall;
      if (y > top + 12) pen.fillText(String(Math.round(tick)).replace("-", "−"), left + 11, y);
    }
    pen.fillText("dB", left + 11, top + 2);
  }

  cross(pen) {
    const [x, y] = this.place(this.cursor);
    pen.lineWidth = 3;
    pen.strokeStyle = "#000";
    for (const colour of ["#000", "#fff"]) {
      pen.strokeStyle = colour;
      pen.beginPath();
      pen.arc(x, y, 7, 0, 7);
      pen.stroke();
      pen.lineWidth = 1.2;
    }
    pen.lineWidth = 1;
  }

  place({ row, column }) {
    const { left, top, wide, tall } = this.area;
    if (this.shape === "grid") {
      return [left + ((column + 0.5) / CELLS) * wide, top + tall - ((row + 0.5) / CELLS) * tall];
    }
    const angle = (GRID.azimuth_deg[column] * Math.PI) / 180;
    const metres = GRID.range_m[row] / FAR_M;
    return [
      left + wide / 2 + metres * Math.sin(angle) * (wide / 2),
      top + tall - metres * Math.cos(angle) * tall,
    ];
  }

  cellAt(x, y) {
    const { left, top, wide, tall } = this.area ?? {};
    const [across, up] = [(x - left) / wide, (top + tall - y) / tall];
    if (!(across >= 0 && across < 1 && up >= 0 && up < 1)) return null;
    if (this.shape === "grid")
      return { row: Math.floor(up * CELLS), column: Math.floor(across * CELLS) };
    const cell = sectorCell(2 * across - 1, up);
    return cell < 0 ? null : { row: Math.floor(cell / CELLS), column: cell % CELLS };
  }

  point(cursor) {
    this.cursor = cursor;
    if (this.frame) this.draw();
    this.read();
  }

  read() {
    const hint = "Point at the picture, or use the arrow keys in it, to read a cell.";
    if (!this.cursor || !this.frame) return say($("cursor"), hint);
    const { row, column } = this.cursor;
    const signed = (value, digits) => value.toFixed(digits).replace("-", "−");
    say(
      $("cursor"),
      `${GRID.range_m[row].toFixed(2)} m, ${signed(GRID.azimuth_deg[column], 1)}°: ${signed(this.db(row, column), 1)} dB`,
    );
  }

  key(event) {
    const step = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[
      event.key
    ];
    if (!step) return;
    event.preventDefault();
    const inside = (value) => Math.min(Math.max(value, 0), CELLS - 1);
    const { row, column } = this.cursor ?? { row: CELLS >> 2, column: CELLS >> 1 };
    const far = event.shiftKey ? 8 : 1;
    this.point({ row: inside(row + far * step[0]), column: inside(column + far * step[1]) });
  }
}
