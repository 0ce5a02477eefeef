"use strict";
// Tables sorted by their headers (https://www.w3.org/WAI/ARIA/apg/patterns/table/examples/sortable-table/), rows and
// parameters filtered by text. Without this script the page is complete, in the order of the files.

const collator = new Intl.Collator("en", { numeric: true });

// A cell's text as it stands in the CSV.
const cellText = (row, column) => row.cells[column].dataset.value;

// Empty cells last, whichever way; numbers as numbers; equals in the order of the file.
function compare(rows, column, numeric, descending) {
  return [...rows].sort((one, other) => {
    const [a, b] = [cellText(one, column), cellText(other, column)];
    if (a === "" || b === "") return (a === "") - (b === "") || one.dataset.place - other.dataset.place;
    const order = numeric ? a - b : collator.compare(a, b);
    return (descending ? -order : order) || one.dataset.place - other.dataset.place;
  });
}

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const said = document.getElementById(`${table.id}-said`);
  [...body.rows].forEach((row, place) => {
    row.dataset.place = place;
  });
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      const direction = next === undefined ? "ascending" : next;
      for (const other of heads) other.removeAttribute("aria-sort");
      if (direction) head.setAttribute("aria-sort", direction);
      const numeric = head.classList.contains("number");
      const rows = direction
        ? compare(body.rows, column, numeric, direction === "descending")
        : [...body.rows].sort((one, other) => one.dataset.place - other.dataset.place);
      body.append(...rows);
      said.textContent = direction
        ? `Sorted by ${head.textContent.trim()}, ${direction}.`
        : "In the order of the file.";
    });
  });
}

// Further columns are shown on demand; without this script all are.
for (const box of document.querySelectorAll("input[data-brief]")) {
  const table = document.getElementById(box.dataset.brief);
  const show = () => table.classList.toggle("brief", !box.checked);
  box.addEventListener("change", show);
  box.closest("label").hidden = false;
  show();
}

// Every word must stand somewhere in the row.
const words = (input) => input.value.toLowerCase().split(/\s+/).filter(Boolean);

for (const input of document.querySelectorAll("input[data-table]")) {
  const rows = [...document.getElementById(input.dataset.table).tBodies[0].rows];
  const texts = new Map(
    rows.map((row) => [
      row,
      [...row.cells]
        .map((cell) => cell.textContent)
        .join(" ")
        .toLowerCase(),
    ]),
  );
  const count = document.getElementById(`${input.dataset.table}-count`);
  input.addEventListener("input", () => {
    const wanted = words(input);
    for (const row of rows) row.hidden = !wanted.every((word) => texts.get(row).includes(word));
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  });
}

// Of the parameters, the lines that match by their full path or value, and the keys above and below them.
const search = document.getElementById("parameters-search");
const sections = [...document.querySelectorAll("details[data-section]")];
search?.addEventListener("input", () => {
  const wanted = words(search);
  let found = 0;
  for (const section of sections) {
    const lines = [...section.querySelectorAll("span")];
    const hits = lines.filter((line) => {
      const text = `${line.dataset.path} ${line.textContent}`.toLowerCase();
      return wanted.every((word) => text.includes(word));
    });
    const above = new Set();
    for (const {
      dataset: { path },
    } of hits) {
      const parts = path.split(".");
      for (let depth = 1; depth <= parts.length; depth++) above.add(parts.slice(0, depth).join("."));
    }
    for (const line of lines) line.hidden = !hits.includes(line) && !above.has(line.dataset.path);
    section.hidden = hits.length === 0;
    section.open = wanted.length > 0 && hits.length > 0;
    found += hits.length;
  }
  document.getElementById("parameters-count").textContent = wanted.length ? `matching lines: ${found}` : "";
});

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
