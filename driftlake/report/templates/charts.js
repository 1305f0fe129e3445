"use strict";
// Draws every chart of the page in its place. The sentence that stands there stays if it cannot be drawn.
(() => {
  const config = JSON.parse(document.getElementById("chart-config").textContent);
  const asRows = ({ columns, rows }) =>
    rows.map((row) => Object.fromEntries(columns.map((name, place) => [name, row[place]])));
  const isThere = typeof vegaEmbed === "function";
  for (const place of document.querySelectorAll(".chart")) {
    const source = place.querySelector("script");
    const sentence = place.querySelector("p");
    const fail = (reason) => { sentence.textContent += ` This chart could not be drawn (${reason}).`; };
    if (!isThere) {
      fail("the folder static must be beside the pages");
      continue;
    }
    const chart = JSON.parse(source.textContent);
    for (const name of Object.keys(chart.datasets)) chart.datasets[name] = asRows(chart.datasets[name]);
    const drawing = document.createElement("div");
    // expressions are interpreted: the policy of the page allows no code from text
    const how = { config, actions: false, ast: true, defaultStyle: false, mode: "vega-lite", renderer: "svg", tooltip: false, logLevel: 1 };
    vegaEmbed(drawing, chart, how).then(() => sentence.replaceWith(drawing), fail);
  }
})();
