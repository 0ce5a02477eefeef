// What lies packed in the page, and what is counted in it.

/** Every float16 by its 16 bits. float32 holds each of them exactly. */
const HALVES = Float32Array.from({ length: 1 << 16 }, (_, bits) => {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
});

const BYTES = { uint8: 1, float16: 2, float32: 4, float64: 8 };

/** The bytes of the block `id`: base64 of gzip. */
async function unpack(id) {
  const text = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers of a type out of bytes that hold all their first bytes, then all their second ones, and so on. */
function numbers(bytes, type) {
  const width = BYTES[type];
  if (!width) throw new Error(`maps of type ${type} cannot be shown`);
  const count = bytes.length / width;
  const joined = new Uint8Array(bytes.length);
  for (let byte = 0; byte < width; byte++) {
    for (let i = 0; i < count; i++) joined[i * width + byte] = bytes[byte * count + i];
  }
  if (type === "uint8") return joined;
  if (type === "float32") return new Float32Array(joined.buffer);
  if (type === "float64") return new Float64Array(joined.buffer);
  return Float32Array.from(new Uint16Array(joined.buffer), (bits) => HALVES[bits]);
}

/** The n-th of arrays of `size` numbers that lie one after the other; null where there are none. */
function nth(array, n, size) {
  return array ? array.subarray(n * size, (n + 1) * size) : null;
}

/** How many pixels are above a threshold, how many are in the mask (null: none known), and how many are both. */
function count(map, mask, threshold) {
  let above = 0;
  let lesion = 0;
  let both = 0;
  for (let i = 0; i < map.length; i++) {
    const positive = map[i] > threshold;
    if (positive) above++;
    if (mask?.[i]) {
      lesion++;
      if (positive) both++;
    }
  }
  return { above, lesion, both, dice: lesion ? (2 * both) / (above + lesion) : null };
}

/**
 * Dice at `steps` + 1 even thresholds from `low` to `high`; where there is no lesion, the share of pixels above them.
 * Two sorted lists are walked once, whatever the number of steps.
 */
function curve(map, mask, low, high, steps) {
  const lesion = [];
  const other = [];
  map.forEach((value, i) => {
    (mask?.[i] ? lesion : other).push(value);
  });
  for (const list of [lesion, other]) list.sort((a, b) => a - b);
  let lesionsBelow = 0;
  let othersBelow = 0;
  return Array.from({ length: steps + 1 }, (_, step) => {
    const threshold = low + ((high - low) * step) / steps;
    while (lesionsBelow < lesion.length && lesion[lesionsBelow] <= threshold) lesionsBelow++;
    while (othersBelow < other.length && other[othersBelow] <= threshold) othersBelow++;
    const both = lesion.length - lesionsBelow;
    const above = both + other.length - othersBelow;
    return { threshold, value: lesion.length ? (2 * both) / (above + lesion.length) : above / map.length };
  });
}

/** The least and the largest of many numbers. */
function extent(array) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of array) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
