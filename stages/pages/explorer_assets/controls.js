// How the controls change what is shown.

function fillSelect(select, texts) {
  select.replaceChildren(
    ...texts.map((text, i) => {
      const option = document.createElement("option");
      option.value = String(i);
      option.textContent = text;
      return option;
    }),
  );
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

/** Go to the setting nearest to what was asked for, `key` first, and say so where it does not exist. */
function choose(key, value) {
  wanted[key.name] = value;
  state.setting = nearest(method(), { ...setting().values, ...wanted }, key.name);
  const missed = gridKeys(method()).some(
    ({ name }) => name in wanted && (setting().values[name] ?? null) !== wanted[name],
  );
  const asked = { ...setting().values, ...pick(wanted, gridKeys(method())) };
  page("note").textContent = missed ? `${title(asked)} was not computed; the nearest: ${title(setting().values)}.` : "";
  update();
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

function chooseMethod(number) {
  state.method = number;
  buildSetting();
  const reported = method().settings.findIndex(({ name }) => name === method().reported);
  state.setting = nearest(method(), { ...method().settings[reported].values, ...wanted });
  // A threshold set by hand means nothing in another method's unit.
  if (typeof state.threshold === "number") state.threshold = "average";
  page("note").textContent = "";
  update();
}

function moveSlice(step) {
  state.slice = Math.min(Math.max(state.slice + step, 0), index.slices.length - 1);
  update();
}

function listen() {
  const on = (id, change) =>
    page(id).addEventListener("input", (event) => {
      change(event.target);
      update();
    });
  on("slice", ({ value }) => (state.slice = Number(value)));
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
  press("reported", () => {
    wanted = {};
    state.setting = method().settings.findIndex(({ name }) => name === method().reported);
    page("note").textContent = "";
  });
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
