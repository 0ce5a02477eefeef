// From the address to the page and back.

/** The state as the part of the address after #: what the page calls its own, then the numbers of the setting. */
function address() {
  const said = new URLSearchParams({
    slice: slice().name,
    sequence: index.channels[state.channel].name,
    method: method().name,
    threshold: state.threshold,
    opacity: state.opacity,
  });
  for (const name of ["above", "outline", "mask", "common"]) said.append(name, state[name] ? 1 : 0);
  for (const [name, value] of Object.entries(setting().values)) said.append(name, value);
  return said.toString();
}

/** Take over what the address says after #; what is not there, or says nothing that exists, stays. */
function readAddress(hash) {
  const said = new URLSearchParams(hash.slice(1));
  const find = (key, list) => {
    const found = list.findIndex(({ name }) => name === said.get(key));
    return found < 0 ? null : found;
  };
  state.slice = find("slice", index.slices) ?? state.slice;
  state.channel = find("sequence", index.channels) ?? state.channel;
  state.method = find("method", index.methods) ?? state.method;
  report();
  wanted = valuesIn(said, method());
  seek(setting().values);
  settleSetting();
  const limit = said.get("threshold");
  if (limit === "average" || limit === "own") state.threshold = limit;
  else if (limit && Number.isFinite(Number(limit))) state.threshold = Number(limit);
  const opacity = Number(said.get("opacity") ?? NaN);
  if (opacity >= 0 && opacity <= 100) state.opacity = Math.round(opacity);
  for (const name of ["above", "outline", "mask", "common"]) if (said.has(name)) state[name] = said.get(name) === "1";
  buildSetting();
  update();
}

let writing;
/** Write the address a moment after the last change: browsers refuse too many changes in a row. */
function writeAddress() {
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, "", `#${address()}`), 200);
}

let latest = 0;
/** Show what the state says. A setting is unpacked first; whoever has moved on meanwhile does not see it. */
async function update() {
  const turn = ++latest;
  syncControls();
  const known = unpacked.get(setting().block);
  if (!known) page("main").setAttribute("aria-busy", "true");
  try {
    const loaded = await load(setting());
    if (turn !== latest) return;
    run = loaded;
    draw();
    page("trouble").hidden = true;
  } catch (error) {
    if (turn !== latest) return;
    fail(`${method().name} ${setting().title} cannot be shown: ${error.message}. Make this file again.`);
  }
  page("main").setAttribute("aria-busy", "false");
  writeAddress();
}

function fail(sentence) {
  page("trouble").textContent = sentence;
  page("trouble").hidden = false;
}

async function start() {
  if (!window.DecompressionStream) {
    fail("This browser is too old for this page: it cannot unpack compressed data. Any browser of 2023 or later can.");
    return;
  }
  const bytes = await unpack("slices");
  const end = index.slices.length * index.planes * pixels;
  inputs = bytes.subarray(0, end);
  masks = index.masks ? bytes.subarray(end) : null;
  fillSlices();
  fillSelect(
    page("channel"),
    index.channels.map(({ title }) => title),
  );
  fillSelect(
    page("method"),
    index.methods.map(({ name }) => name),
  );
  page("channel-field").hidden = index.channels.length === 1;
  page("mask-field").hidden = !index.masks;
  listen();
  readAddress(location.hash);
}

start().catch((error) => fail(`This page cannot be shown: ${error.message}. Make this file again.`));
