"use strict";
// Draws every chart from the JSON beside it, in the colours of the page; folds long tables away once they are drawn.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const light = { text: "#1c2430", soft: "#596273", line: "#d9dee6" };
  const night = { text: "#e3e7ee", soft: "#a3adbd", line: "#353c48" };
  const inks = ["#1f6fb4", "#c2570c", "#2b8a57", "#8f3aa6", "#a8324a", "#6b6f1d", "#0e7f86", "#7a5a3a", "#5c6f9e", "#444b57"];
  const glows = ["#6fb1f0", "#f2a15c", "#74cc9a", "#d19ae2", "#f2899b", "#cfcf6a", "#5ecfd3", "#cfa987", "#a9b9e6", "#c3c9d4"];
  const longest = (spec) => Math.max(0, ...((spec.data && spec.data.values) || []).map((row) => (row.arm || "").length));
  const config = (width, letters) => {
    const tone = dark.matches ? night : light;
    const entry = Math.min(width - 40, Math.max(130, 30 + 7 * letters)); // names of arms may differ at their end
    const axis = { labelColor: tone.soft, titleColor: tone.text, titleFontWeight: "normal", gridColor: tone.line,
      domainColor: tone.soft, tickColor: tone.soft, labelFontSize: 11, titleFontSize: 12 };
    return { background: "transparent", font: "system-ui, sans-serif", view: { stroke: null }, axis,
      title: { color: tone.text }, header: { labelColor: tone.text, labelFontSize: 12 }, text: { color: tone.text }, rule: { color: tone.text },
      legend: { labelColor: tone.text, titleColor: tone.text, labelFontSize: 12, symbolStrokeWidth: 2,
        labelLimit: entry - 30, columns: Math.max(1, Math.floor(width / entry)) },
      range: { category: dark.matches ? glows : inks }, mark: { color: dark.matches ? glows[0] : inks[0] },
      rect: { tooltip: true }, errorbar: { rule: { color: tone.soft }, ticks: { color: tone.soft } } };
  };
  const draw = async () => {
    for (const holder of document.querySelectorAll(".chart[data-spec]")) {
      const spec = JSON.parse(document.getElementById(holder.dataset.spec).textContent);
      const choices = document.getElementById(`${holder.dataset.spec}-choices`);
      if (choices) choices.replaceChildren();
      for (const panel of spec.vconcat || []) panel.width = Math.max(160, Math.min(panel.width, holder.clientWidth - 80));
      if (spec.facet) {
        spec.columns = Math.max(1, Math.min(spec.columns, Math.floor((holder.clientWidth - 40) / 200)));
        spec.spec.width = Math.floor((holder.clientWidth - 40) / spec.columns) - 40;
      }
      try {
        await window.vegaEmbed(holder, spec, { actions: false, renderer: "svg", config: config(holder.clientWidth, longest(spec)),
          ...(choices && { bind: choices }) });
        holder.querySelector("svg").setAttribute("aria-hidden", "true");
        holder.dataset.drawn = "yes";
      } catch (error) {
        holder.textContent = "This chart could not be drawn; its numbers are below.";
        console.error(error);
      }
    }
    document.body.dataset.drawn = "yes";
  };
  const tables = () => document.querySelectorAll("details.data");
  draw().then(() => { for (const one of tables()) one.open = one.dataset.rows <= 12 && !one.closest(".pair"); });
  dark.addEventListener("change", draw);
  window.addEventListener("beforeprint", () => { for (const one of tables()) one.open = true; });
})();
