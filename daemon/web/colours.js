// Colours of the theme for canvases, and a colour map made for reading amounts off it.

// Custom properties come unresolved (light-dark); a real property of an element is resolved.
const probe = document.body.appendChild(made("span", { hidden: "" }));
function themed(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

// Even steps of lightness in OKLab, from violet over red to pale yellow: equal steps of the value
// look equal, and it reads the same in grey and to colour-blind eyes.
function colourMap(steps = 256) {
  const table = new Uint8ClampedArray(steps * 3);
  for (let i = 0; i < steps; i++) {
    const t = i / (steps - 1);
    const lightness = 0.13 + 0.84 * t;
    const hue = ((285 + 180 * t) * Math.PI) / 180;
    let chroma = 0.05 + 0.14 * Math.sin(Math.PI * Math.min(t * 1.05, 1)) ** 0.9;
    let rgb = fromOklab(lightness, chroma * Math.cos(hue), chroma * Math.sin(hue));
    while (rgb.some((part) => part < 0 || part > 1) && chroma > 0) {
      // into what a screen can show
      chroma -= 0.005;
      rgb = fromOklab(lightness, chroma * Math.cos(hue), chroma * Math.sin(hue));
    }
    rgb.forEach((part, channel) => {
      const coded =
        part <= 0.0031308 ? 12.92 * part : 1.055 * Math.max(part, 0) ** (1 / 2.4) - 0.055;
      table[3 * i + channel] = Math.round(255 * coded);
    });
  }
  return table;
}

function fromOklab(L, a, b) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

// A canvas in device pixels, drawn in CSS pixels; null while it has no size.
function sharp(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  if (width < 1 || height < 1) return null;
  const ratio = window.devicePixelRatio || 1;
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px system-ui, sans-serif";
  pen.lineWidth = 1;
  return { pen, width, height };
}
