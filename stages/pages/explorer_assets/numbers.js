// Numbers as a person reads them, with all their digits behind them.

/** A number in four significant digits; whole ones, and what is before the point, as they are. */
function short(value) {
  if (Number.isInteger(value)) return String(value);
  return String(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
}

/** A number in few digits, or in those of `text`; all of them are its value, and are shown when it is pointed at. */
function numberOf(value, text = short(value)) {
  const element = document.createElement("data");
  element.value = String(value);
  element.textContent = text;
  if (text !== element.value) element.title = element.value;
  return element;
}

/** The power of ten that goes a hundred times or more into a range: the step of a number that lies in it. */
function stepIn(low, high) {
  return 10 ** Math.floor(Math.log10((high - low) / 100));
}
