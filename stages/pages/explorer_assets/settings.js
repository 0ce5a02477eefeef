// The settings of a method: which keys its grid has, and which of its settings is nearest to a wish.

/** The keys of a method's grid, each with its values in order and whether these are all numbers. */
function gridKeys(method) {
  const names = [...new Set(method.settings.flatMap((setting) => Object.keys(setting.values)))];
  return names.map((name) => {
    // A block of the grid may lack a key that another one has: null stands for that.
    const values = [...new Set(method.settings.map((setting) => setting.values[name] ?? null))];
    const numeric = values.every((value) => value === null || typeof value === "number");
    if (numeric) values.sort((a, b) => (a ?? -Infinity) - (b ?? -Infinity));
    return { name, values, numeric };
  });
}

/** A key and its value as text: "s = 20", "view = plain". */
function said(name, value) {
  return `${name} = ${value ?? "none"}`;
}

/**
 * The index of the setting that is nearest to `wanted` (key -> value; a key that it lacks does not matter).
 *
 * Numbers are as far apart as they are in the sorted list of values, since grids are spaced unevenly, and words are one
 * apart. The key `first` counts most: whoever moves s wants that s.
 */
function nearest(method, wanted, first) {
  const keys = gridKeys(method);
  const distance = (setting) => {
    let sum = 0;
    for (const { name, values, numeric } of keys) {
      if (!(name in wanted)) continue;
      const value = setting.values[name] ?? null;
      let apart = value === wanted[name] ? 0 : 1;
      if (numeric && apart) apart = Math.abs(place(values, value) - place(values, wanted[name])) / values.length;
      sum += apart * (name === first ? 1000 : 1);
    }
    return sum;
  };
  const distances = method.settings.map(distance);
  return distances.indexOf(Math.min(...distances));
}

/** Where a number stands in a sorted list; between two of its members, in proportion. */
function place(values, value) {
  const at = values.indexOf(value);
  if (at >= 0) return at;
  const after = values.findIndex((other) => other !== null && other > value);
  if (after < 0) return values.length - 1;
  if (after === 0 || values[after - 1] === null) return after;
  return after - 1 + (value - values[after - 1]) / (values[after] - values[after - 1]);
}

/** The values of a setting that an address asks for: those of the method's keys, numbers as numbers, words that exist. */
function valuesIn(parameters, method) {
  const found = {};
  for (const { name, values, numeric } of gridKeys(method)) {
    // The last one: a key of the grid may be called as one of the page's own, which come first.
    const text = parameters.getAll(name).at(-1);
    if (!text) continue;
    const known = values.find((value) => String(value) === text);
    if (known !== undefined) found[name] = known;
    else if (numeric && Number.isFinite(Number(text))) found[name] = Number(text);
  }
  return found;
}
