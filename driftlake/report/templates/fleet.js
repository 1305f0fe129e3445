"use strict";
// Sorts and filters the table of model versions. Without scripts it has all rows, the worst first.
(() => {
  const form = document.getElementById("filters");
  const table = document.getElementById("fleet");
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].map((element) => {
    const cells = [...element.cells];
    const texts = cells.map((cell) => cell.textContent.trim());
    return {
      element,
      keys: cells.map((cell, place) => cell.dataset.by ?? texts[place]),
      verdict: cells[0].querySelector(".badge").lastChild.textContent,
      owner: cells.at(-1).dataset.by,
      tier: element.dataset.tier,
      words: texts.join(" ").toLowerCase(),
    };
  });
  const field = (name) => document.getElementById(name);
  const choices = ["verdict", "owner", "tier"].filter(field);

  function filter() {
    const words = field("text").value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const isShown =
        choices.every((name) => !field(name).value || field(name).value === row[name]) &&
        words.every((word) => row.words.includes(word));
      row.element.hidden = !isShown;
      shown += isShown;
    }
    field("shown").textContent = `${shown} of ${rows.length} model versions`;
  }

  // Nothing known comes last in both directions.
  function compare(first, second, direction) {
    if (first === "" || second === "") return (first === "") - (second === "");
    const difference = Number(first) - Number(second);
    return direction * (Number.isNaN(difference) ? first.localeCompare(second) : difference);
  }

  function sort(column) {
    const heading = headings[column];
    const isDescending = heading.ariaSort === "ascending";
    headings.forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
    rows.sort((first, second) => compare(first.keys[column], second.keys[column], isDescending ? -1 : 1));
    body.append(...rows.map((row) => row.element));
  }

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(column));
    heading.append(button);
  });
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
})();
