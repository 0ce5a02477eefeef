// Pictures on canvases, and the plot.

/** Fill a canvas with one colour a pixel: `colour(i)` gives [red, green, blue], 0 to 255. */
function paint(canvas, width, height, colour) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [red, green, blue] = colour(i);
    picture.data.set([red, green, blue, 255], 4 * i);
  }
  context.putImageData(picture, 0, 0);
}

/** "#rrggbb" as [red, green, blue]. */
function channels(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

/** The colour of a map's value on a scale from 0 to `top`. */
function mapColour(colours, value, top) {
  const share = Math.min(Math.max(value / top, 0), 1);
  return colours[Math.min(Math.floor(share * colours.length), colours.length - 1)];
}

/** Draw the line between pixels that are `inside` and those that are not, on a canvas of `scale` times their size. */
function outline(context, inside, width, height, scale, colour) {
  const at = (x, y) => x >= 0 && y >= 0 && x < width && y < height && inside(y * width + x);
  context.beginPath();
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      if (at(x, y) !== at(x - 1, y)) {
        context.moveTo(x * scale, y * scale);
        context.lineTo(x * scale, (y + 1) * scale);
      }
      if (at(x, y) !== at(x, y - 1)) {
        context.moveTo(x * scale, y * scale);
        context.lineTo((x + 1) * scale, y * scale);
      }
    }
  }
  context.lineCap = "square";
  // A dark seam keeps the line visible on bright pixels.
  for (const [style, thickness] of [
    ["rgb(0 0 0 / 70%)", 5],
    [colour, 2.5],
  ]) {
    context.strokeStyle = style;
    context.lineWidth = thickness;
    context.stroke();
  }
}

/** An element of the plot with its attributes, and text where there is any. */
function svg(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const PLOT = { left: 34, right: 352, top: 22, bottom: 176 };

/**
 * Draw a curve over thresholds, with a line at each of `marks` ({name, title, threshold}) and a dot at {x, y} `now`.
 */
function drawPlot(plot, points, low, high, now, marks) {
  const x = (threshold) => PLOT.left + ((threshold - low) / (high - low)) * (PLOT.right - PLOT.left);
  const y = (value) => PLOT.bottom - value * (PLOT.bottom - PLOT.top);
  const inside = (threshold) => threshold >= low && threshold <= high;
  const parts = [];
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(svg("line", { class: "axis", x1: PLOT.left, x2: PLOT.right, y1: y(value), y2: y(value) }));
    if (value * 2 === Math.round(value * 2)) {
      parts.push(svg("text", { x: PLOT.left - 5, y: y(value) + 4, "text-anchor": "end" }, String(value)));
    }
  }
  const ends = [
    [low, "start"],
    [high, "end"],
  ];
  for (const [value, anchor] of ends) {
    parts.push(svg("text", { x: x(value), y: PLOT.bottom + 14, "text-anchor": anchor }, short(value)));
  }
  const middle = (PLOT.left + PLOT.right) / 2;
  parts.push(svg("text", { x: middle, y: PLOT.bottom + 14, "text-anchor": "middle" }, "threshold"));
  marks = marks.filter((mark) => inside(mark.threshold)).sort((a, b) => a.threshold - b.threshold);
  marks.forEach((mark, i) => {
    const at = x(mark.threshold);
    parts.push(svg("line", { class: mark.name, x1: at, x2: at, y1: PLOT.top, y2: PLOT.bottom }));
    // Of two marks, the left one's name stands to its left, unless the edge is near.
    const toLeft = at > PLOT.right - 75 || (i < marks.length - 1 && at > PLOT.left + 75);
    const shift = toLeft ? -3 : 3;
    const row = i < marks.length - 1 && !toLeft ? PLOT.top - 13 : PLOT.top - 3;
    parts.push(
      svg("text", { class: mark.name, x: at + shift, y: row, "text-anchor": toLeft ? "end" : "start" }, mark.title),
    );
  });
  const line = points.map(({ threshold, value }) => `${x(threshold).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  parts.push(svg("polyline", { class: "curve", points: line }));
  if (inside(now.threshold)) {
    const at = x(now.threshold);
    parts.push(svg("line", { class: "now", x1: at, x2: at, y1: PLOT.top, y2: PLOT.bottom }));
    parts.push(svg("circle", { class: "dot", cx: at, cy: y(now.value), r: 4 }));
  }
  plot.replaceChildren(...parts);
}
