// How the controls change what is shown.

function optionOf(text, number) {
  const option = document.createElement("option");
  option.value = String(number);
  option.textContent = text;
  return option;
}

function fillSelect(select, texts) {
  select.replaceChildren(...texts.map(optionOf));
}

/** The slices to choose from: first the chosen ones, then what else is in each volume. */
function fillSlices() {
  const options = index.slices.map((slice, number) => optionOf(sliceText(slice), number));
  const groups = index.volumes.map(({ subject, slices }) => {
    const group = document.createElement("optgroup");
    group.label = `The rest of ${subject}`;
    group.append(...slices.filter((number) => number >= index.chosen).map((number) => options[number]));
    return group;
  });
  page("slice").replaceChildren(...options.slice(0, index.chosen), ...groups.filter(({ children }) => children.length));
}

/** A slider for each numeric key of the method's grid, a choice for words; what has one value only is just said. */
function buildSetting() {
  const parts = gridKeys(method()).map((key) => {
    const field = document.createElement("div");
    field.className = "field";
    if (key.values.length === 1) {
      field.textContent = `${said(key.name, key.values[0])}, its only value`;
      return field;
    }
    const label = document.createElement("label");
    const control = document.createElement(key.numeric ? "input" : "select");
    control.id = `key-${key.name}`;
    control.dataset.key = key.name;
    label.htmlFor = control.id;
    field.append(label, control);
    if (key.numeric) {
      Object.assign(control, { type: "range", min: "0", max: String(key.values.length - 1), step: "1" });
      const ticks = document.createElement("div");
      ticks.className = "ticks";
      ticks.setAttribute("aria-hidden", "true");
      for (const value of key.values) {
        const tick = document.createElement("span");
        tick.textContent = value ?? "none";
        ticks.append(tick);
      }
      field.append(ticks);
      label.append(`${key.name} = `, document.createElement("b"));
    } else {
      fillSelect(
        control,
        key.values.map((value) => value ?? "none"),
      );
      label.textContent = key.name;
    }
    control.addEventListener("input", () => choose(key, key.values[Number(control.value)]));
    return field;
  });
  if (!parts.length) parts.push("This method has no settings.");
  page("setting").replaceChildren(...parts);
}

/** What is wanted, with `values` for what nothing was wanted of: go to the nearest setting, `first` before all. */
function seek(values, first) {
  const keys = gridKeys(method());
  const asked = { ...values, ...pick(wanted, keys) };
  state.setting = nearest(method(), asked, first);
  const missed = keys.some(({ name }) => name in wanted && (setting().values[name] ?? null) !== wanted[name]);
  page("note").textContent = missed ? `${title(asked)} was not computed; the nearest: ${title(setting().values)}.` : "";
}

/** Go to the setting nearest to what was asked for, and to a slice that has a map there. */
function choose(key, value) {
  wanted[key.name] = value;
  seek(setting().values, key.name);
  if (state.slice >= setting().slices) {
    const { slices } = volume();
    const apart = (number) => Math.abs(slices.indexOf(number) - slices.indexOf(state.slice));
    const shown = slices.filter((number) => number < index.chosen);
    state.slice = shown.reduce((a, b) => (apart(b) < apart(a) ? b : a));
    page("note").textContent += ` ${slice().name} is the nearest slice of the volume that has a map at this setting.`;
  }
  update();
}

/** Go to the reported setting. */
function report() {
  wanted = {};
  state.setting = method().settings.findIndex(({ name }) => name === method().reported);
  page("note").textContent = "";
}

/** Where the slice has no map at this setting, go to the reported one, which has all. */
function settleSetting() {
  if (state.slice < setting().slices) return;
  report();
  page("note").textContent = "Of this slice of the volume there is a map at the reported setting alone.";
}

function pick(values, keys) {
  return Object.fromEntries(keys.filter(({ name }) => name in values).map(({ name }) => [name, values[name]]));
}

function title(values) {
  return Object.entries(values)
    .map(([name, value]) => said(name, value))
    .join(", ");
}

/** Disable a button, or enable it; the focus that it would lose goes to its neighbour. */
function disable(name, off, neighbour) {
  if (off && document.activeElement === page(name)) page(neighbour).focus();
  page(name).disabled = off;
}

/** Set every control to what the state says. */
function syncControls() {
  for (const name of ["slice", "channel", "method", "opacity"]) page(name).value = String(state[name]);
  for (const name of ["above", "outline", "mask", "common"]) page(name).checked = state[name];
  page("opacity").setAttribute("aria-valuetext", `${state.opacity} %`);
  page("previous").disabled = page("next").disabled = false;
  disable("previous", state.slice === 0, "next");
  disable("next", state.slice === index.slices.length - 1, "previous");
  syncVolume();
  for (const { name, values } of gridKeys(method())) {
    const control = page(`key-${name}`);
    if (!control) continue;
    const value = setting().values[name] ?? null;
    control.value = String(values.indexOf(value));
    if (control.type !== "range") continue;
    control.setAttribute("aria-valuetext", said(name, value));
    control.labels[0].querySelector("b").textContent = value ?? "none";
  }
  page("reported").hidden = method().settings.length === 1;
  disable("reported", setting().name === method().reported, "method");
}

/** Set the slider of the volume, where the slice is of one that is here whole. */
function syncVolume() {
  const whole = volume();
  page("volume-field").hidden = !whole;
  if (!whole) return;
  const place = whole.slices.indexOf(state.slice);
  const text = `z = ${slice().position}, ${place + 1} of ${whole.slices.length}`;
  page("volume").max = String(whole.slices.length - 1);
  page("volume").value = String(place);
  page("volume").setAttribute("aria-valuetext", text);
  page("volume-place").textContent = text;
}

function chooseMethod(number) {
  state.method = number;
  buildSetting();
  seek(method().settings.find(({ name }) => name === method().reported).values);
  page("note").textContent = "";
  settleSetting();
  // A threshold set by hand means nothing in another method's unit.
  if (typeof state.threshold === "number") state.threshold = "average";
  update();
}

function chooseSlice(number) {
  state.slice = number;
  settleSetting();
  update();
}

function moveSlice(step) {
  chooseSlice(Math.min(Math.max(state.slice + step, 0), index.slices.length - 1));
}

const NOTCH = 50; // pixels of the wheel for a slice: a mouse's notch is about 100, a touch pad sends a few at a time
let turned = 0;
/** The wheel over a picture goes through the volume; at its ends, and where there is none, it moves the page. */
function turn(event) {
  const { slices } = volume() ?? {};
  if (!slices || event.ctrlKey || event.shiftKey) return;
  const moved = event.deltaY * [1, NOTCH, 4 * NOTCH][event.deltaMode]; // of pixels, lines, pages
  const place = slices.indexOf(state.slice) + Math.sign(moved);
  if (moved === 0 || place < 0 || place >= slices.length) return;
  event.preventDefault();
  turned = turned * moved > 0 ? turned + moved : moved;
  if (Math.abs(turned) < NOTCH) return;
  turned = 0;
  chooseSlice(slices[place]);
}

function listen() {
  const on = (id, change) =>
    page(id).addEventListener("input", (event) => {
      change(event.target);
      update();
    });
  page("slice").addEventListener("input", ({ target }) => chooseSlice(Number(target.value)));
  page("volume").addEventListener("input", ({ target }) => chooseSlice(volume().slices[Number(target.value)]));
  for (const picture of document.querySelectorAll(".pictures canvas[role=img]")) {
    picture.addEventListener("wheel", turn, { passive: false });
  }
  on("channel", ({ value }) => (state.channel = Number(value)));
  on("opacity", ({ value }) => (state.opacity = Number(value)));
  for (const name of ["above", "outline", "mask", "common"]) on(name, ({ checked }) => (state[name] = checked));
  on("threshold", ({ value }) => {
    // Six digits, so that the number that is shown is the one that is meant.
    state.threshold = Number((run.low + ((run.high - run.low) * Number(value)) / SLIDER).toPrecision(6));
  });
  on("threshold-number", ({ valueAsNumber }) => {
    if (Number.isFinite(valueAsNumber)) state.threshold = valueAsNumber;
  });
  page("method").addEventListener("input", ({ target }) => chooseMethod(Number(target.value)));
  const press = (id, change) =>
    page(id).addEventListener("click", () => {
      change();
      update();
    });
  press("average", () => (state.threshold = "average"));
  press("own", () => (state.threshold = "own"));
  press("reported", report);
  page("previous").addEventListener("click", () => moveSlice(-1));
  page("next").addEventListener("click", () => moveSlice(1));
  page("plot").addEventListener("click", (event) => {
    const box = page("plot").getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * page("plot").viewBox.baseVal.width;
    const share = Math.min(Math.max((x - PLOT.left) / (PLOT.right - PLOT.left), 0), 1);
    state.threshold = Number((run.low + share * (run.high - run.low)).toPrecision(6));
    update();
  });
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const modified = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (!step || modified || event.target.closest("input, select")) return;
    event.preventDefault();
    moveSlice(step);
  });
  window.addEventListener("hashchange", (event) => readAddress(new URL(event.newURL).hash));
}
