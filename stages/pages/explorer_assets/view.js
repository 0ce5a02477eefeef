// What is shown, as pictures and numbers.

const page = (id) => document.getElementById(id);
const index = JSON.parse(page("index").textContent);
const pixels = index.width * index.height;
const colours = index.colours.map(channels);
const outlines = Object.fromEntries(
  ["lesion", "predicted"].map((name) => [
    name,
    getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(),
  ]),
);
const STEPS = 300; // of the plot
const SLIDER = 1000; // steps of the threshold's slider
const KEPT = 12; // settings that stay unpacked

const state = {
  slice: 0,
  channel: index.channels.length - 1, // of a brain FLAIR, which shows lesions best
  method: 0,
  setting: 0,
  threshold: "average", // or "own", or a number
  opacity: 60,
  above: false,
  outline: true,
  mask: true,
  common: true,
};
let wanted = {}; // values of the grid's keys that were asked for, where they exist or not
let inputs, masks; // of all slices, uint8
let run; // the unpacked setting that is shown
const unpacked = new Map();

const method = () => index.methods[state.method];
const setting = () => method().settings[state.setting];
const slice = () => index.slices[state.slice];
/** The volume that the slice is of, {subject, slices: their numbers by position}; undefined where it is not here whole. */
const volume = () => index.volumes.find(({ slices }) => slices.includes(state.slice));

/** Maps and reconstructions of a setting, with the range of its maps; the last ones used stay in memory. */
async function load(setting) {
  const known = unpacked.get(setting.block);
  const loaded = known ?? (await open(setting));
  unpacked.delete(setting.block);
  unpacked.set(setting.block, loaded);
  if (unpacked.size > KEPT) unpacked.delete(unpacked.keys().next().value);
  return loaded;
}

async function open(setting) {
  const bytes = await unpack(setting.block);
  const end = setting.slices * pixels * BYTES[setting.type];
  const maps = numbers(bytes.subarray(0, end), setting.type);
  const images = setting.reconstructions ? bytes.slice(end) : null;
  images?.forEach((difference, i) => {
    images[i] = difference + inputs[i]; // modulo 256, as it was packed
  });
  const [low, high] = extent(maps);
  return { maps, images, low: Math.min(0, low), high: high > Math.min(0, low) ? high : low + 1 };
}

/** The slice's current channel as a colour a pixel, grey or of its three planes; null where there is no image. */
function pictureOf(images) {
  if (!images || state.slice * index.planes * pixels >= images.length) return null;
  const planes = index.channels[state.channel].planes.map((plane) =>
    nth(images, state.slice * index.planes + plane, pixels),
  );
  const [red, green, blue] = planes.length === 3 ? planes : [planes[0], planes[0], planes[0]];
  return (i) => [red[i], green[i], blue[i]];
}

/** The threshold in the map's units: null where it is the average Otsu of a data set without masks. */
function threshold() {
  if (state.threshold === "average") return setting().average;
  if (state.threshold === "own") return setting().own[state.slice];
  return state.threshold;
}

/** Where there are no masks, there is no average Otsu. */
function settleThreshold() {
  if (state.threshold === "average" && setting().average === null) state.threshold = "own";
}

function draw() {
  settleThreshold();
  const { width, height } = index;
  const input = pictureOf(inputs);
  const map = nth(run.maps, state.slice, pixels);
  const mask = nth(masks, state.slice, pixels);
  const reconstruction = pictureOf(run.images);
  const top = (state.common ? method() : setting()).top;
  const limit = threshold();
  const found = count(map, mask, limit);

  paint(page("input-picture"), width, height, input);
  page("no-reconstruction").textContent = setting().reconstructions
    ? "Reconstructions are kept of the slices that were chosen before detection."
    : "This method writes no reconstruction.";
  show("reconstruction-picture", "no-reconstruction", reconstruction);
  if (reconstruction) paint(page("reconstruction-picture"), width, height, reconstruction);
  paint(page("map-picture"), width, height, (i) => mapColour(colours, map[i], top));
  show("mask-picture", "no-mask", mask);
  if (mask) paint(page("mask-picture"), width, height, (i) => (mask[i] ? [255, 255, 255] : [0, 0, 0]));
  paint(page("colours"), colours.length, 1, (i) => colours[i]);
  drawOverlay(input, map, mask, top, limit);
  page("top").textContent = short(top);
  namePictures(map, top, found);
  drawNumbers(map, mask, limit, found);
}

/** Say in words what is shown, above the pictures and for each of them. */
function namePictures(map, top, found) {
  const channel = index.channels[state.channel].title;
  for (const element of document.querySelectorAll(".channel")) element.textContent = channel;
  const what = `${slice().name}, ${method().name} ${setting().title}`.trim();
  const parts = [`${found.above} of ${pixels} pixels above the threshold`];
  if (found.lesion) parts.push(`${found.both} of them in the mask`);
  page("shown").textContent = `${sliceText(slice())}: ${method().name} ${setting().title}`.trim();
  for (const [id, text] of [
    ["input", `Input, ${channel}: ${sliceText(slice())}`],
    ["reconstruction", `Reconstruction, ${channel}: ${what}`],
    ["map", `Anomaly map: ${what}; up to ${short(extent(map)[1])}, in colours from 0 to ${short(top)}`],
    ["mask", `Mask: ${sliceText(slice())}`],
    ["overlay", `Anomaly map over the input, ${channel}: ${what}; ${parts.join(", ")}`],
  ]) {
    page(`${id}-picture`).setAttribute("aria-label", text);
  }
}

/** What is in a slice, in words. */
function contentOf({ diseased, pixels }) {
  if (!diseased) return "healthy";
  return index.masks ? `lesion of ${pixels} pixels` : "diseased";
}

/** A slice in words: its whole name, and what is in it. */
function sliceText(slice) {
  return `${slice.name}, ${contentOf(slice)}`;
}

/** Show a canvas, or the sentence that stands for it where it is missing. */
function show(canvas, sentence, there) {
  page(canvas).hidden = !there;
  page(sentence).hidden = Boolean(there);
}

function drawOverlay(input, map, mask, top, limit) {
  const { width, height } = index;
  const canvas = page("overlay-picture");
  const scale = Math.max(1, Math.round(768 / Math.max(width, height)));
  const share = state.opacity / 100;
  const small = document.createElement("canvas");
  paint(small, width, height, (i) => {
    if (state.above && !(map[i] > limit)) return input(i);
    const below = input(i);
    return mapColour(colours, map[i], top).map((colour, plane) => (1 - share) * below[plane] + share * colour);
  });
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  if (state.outline) outline(context, (i) => map[i] > limit, width, height, scale, outlines.predicted);
  if (state.mask && mask) outline(context, (i) => mask[i] > 0, width, height, scale, outlines.lesion);
}

function drawNumbers(map, mask, limit, found) {
  const share = found.above / pixels;
  const byDice = found.dice !== null;
  const value = byDice ? found.dice : share;
  const headline = page("headline");
  const data = numberOf(value, byDice ? value.toFixed(3) : `${(100 * value).toFixed(1)} %`);
  data.id = "value";
  headline.replaceChildren(byDice ? "Dice " : "Above the threshold: ", data);
  const counts = byDice
    ? `${found.lesion} in the mask, ${found.both} in both`
    : `${index.masks ? "no lesion in this slice" : "no mask"}, so no Dice`;
  page("counts").replaceChildren(`${found.above} of ${pixels} pixels above `, numberOf(limit), `; ${counts}.`);

  page("plot-title").textContent = byDice ? "Dice over the threshold" : "Share of pixels above each threshold";
  const marks = [
    { name: "average", title: "average Otsu", threshold: setting().average },
    { name: "own", title: "own Otsu", threshold: setting().own[state.slice] },
  ].filter((mark) => mark.threshold !== null);
  const points = curve(map, byDice ? mask : null, run.low, run.high, STEPS);
  const plot = page("plot");
  drawPlot(plot, points, run.low, run.high, { threshold: limit, value }, marks);
  const best = points.reduce((a, b) => (b.value > a.value ? b : a));
  const most = byDice ? `, at most ${best.value.toFixed(2)} near ${short(best.threshold)}` : "";
  const summary = `${most}; ${data.textContent} at ${short(limit)}`;
  plot.setAttribute("aria-label", `${page("plot-title").textContent}${summary}`);

  const slider = page("threshold");
  slider.value = String(Math.round((SLIDER * (limit - run.low)) / (run.high - run.low)));
  slider.setAttribute("aria-valuetext", `${short(limit)}, ${headline.textContent}`);
  const number = page("threshold-number");
  number.step = String(stepIn(run.low, run.high));
  number.title = String(limit);
  if (document.activeElement !== number || Number(number.value) !== limit) number.value = short(limit);
  for (const name of ["average", "own"]) page(name).setAttribute("aria-pressed", String(state.threshold === name));
  page("average").disabled = setting().average === null;
  fillScores();
}

function fillScores() {
  const kind = slice().diseased ? "diseased" : "healthy";
  page("split-mean").textContent = `mean, ${kind} test slices${slice().diseased ? " (Dice, AUROC: scored ones)" : ""}`;
  const rows = index.scores.map(({ name, title }) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = title;
    const values = [setting().scores[name][state.slice], setting().means[name]?.[kind] ?? null];
    const cells = values.map((value) => {
      const cell = document.createElement("td");
      cell.append(value === null ? "-" : numberOf(value));
      return cell;
    });
    row.dataset.score = name;
    row.append(head, ...cells);
    return row;
  });
  page("scores").replaceChildren(...rows);
}
