// Shows the compiler's answers in the panes: diagnostics, table, totals, pictures.

import {element, marked} from "./elements.js"
import {isApplicable} from "./editor.js"

const LONG = 18
const COUNTED = ["error", "warning", "advice"]

/** The list of diagnostics; `goTo` moves to a position, `apply` applies a fix. */
export function showList(list, summary, {findings, left_out: leftOut}, {goTo, apply}) {
  summary.textContent = counted(findings) || "Nothing found"
  summary.className = `pg-head ${findings[0] ? worst(findings) : "clean"}`
  list.replaceChildren(
    ...findings.map((finding) => findingItem(finding, goTo, apply)),
    ...(leftOut > 0 ? [element("li", {class: "pg-note"}, `and ${leftOut} more`)] : []),
  )
}

function findingItem(finding, goTo, apply) {
  const {severity, line, column, code, url, message, help, fix} = finding
  return element(
    "li", {class: severity},
    element(
      "button", {type: "button", class: "pg-finding", onclick: () => goTo(finding)},
      element("span", {class: "pg-place"}, `${line}:${column}`), " ", marked(message),
    ),
    " ",
    element("a", {href: url, target: "_blank", rel: "noopener", class: "pg-code", title: finding.name}, code),
    help && element("span", {class: "pg-help"}, marked(help)),
    isApplicable(fix) && element("div", {}, element("button", {type: "button", class: "pg-apply", onclick: () => apply(fix)}, marked(fix.message))),
  )
}

function counted(findings) {
  const counts = COUNTED.map((severity) => [severity, findings.filter((one) => one.severity === severity).length])
  const parts = counts.filter(([, count]) => count > 0)
  return parts.map(([severity, count]) => `${count} ${severity}${count > 1 && severity !== "advice" ? "s" : ""}`).join(", ")
}

function worst(findings) {
  return COUNTED.find((severity) => findings.some((one) => one.severity === severity))
}

/** The resolved table; a click on a row's number moves to the phase. */
export function showTable(place, {headers, rows, left_out: leftOut}, goTo) {
  const classes = headers.map((header) => `pg-${header.replaceAll(/\W/g, (mark) => (mark === "#" ? "number" : "-"))}`)
  const head = element("thead", {}, element("tr", {}, ...headers.map((text, at) => element("th", {scope: "col", class: classes[at]}, text))))
  const body = element("tbody", {}, ...rows.map((row) => tableRow(row, classes, goTo)))
  place.replaceChildren(element("table", {class: "pg-rows"}, head, body))
  if (leftOut > 0) place.append(element("p", {class: "pg-note"}, `and ${leftOut} more phases: plan.json has them all`))
}

function tableRow(row, classes, goTo) {
  const cells = row.cells.map(({text, derived}, at) => {
    if (at === 0) {
      const jump = element("button", {type: "button", title: "go to the phase", onclick: () => goTo(row)}, text)
      return element("td", {class: classes[at]}, jump)
    }
    const kinds = [classes[at], derived && "pg-derived", text.length > LONG && "pg-long"].filter(Boolean)
    return element("td", {class: kinds.join(" ")}, derived ? `${text}*` : cellText(text))
  })
  return element("tr", {class: row.mode}, ...cells)
}

const cellText = (text) => (text.includes("`") ? marked(text) : text)

/** Totals, settings, comparisons, the hash. */
export function showTotals(place, totals) {
  place.replaceChildren(
    ...totals.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {class: name === "hash" && "pg-hash"}, text)]),
  )
}

/** A picture drawn by the compiler; a click on a phase moves to it. */
export function showPicture(place, svg, onRow) {
  const picture = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement
  place.replaceChildren(document.importNode(picture, true))
  place.onclick = (event) => {
    const row = event.target.closest("[data-row]")?.getAttribute("data-row")
    if (row && onRow) onRow(Number(row))
  }
}

/** Marks the phases at the cursor in table and timeline. */
export function showCurrent(read, rows, place) {
  const current = rows.map((row) => row.from <= place && place <= row.to)
  read.querySelectorAll("tbody tr").forEach((row, index) => row.classList.toggle("current", current[index] ?? false))
  read.querySelectorAll(".pg-timeline [data-row]").forEach((phase) => {
    phase.classList.toggle("current", current[Number(phase.dataset.row)] ?? false)
  })
}
