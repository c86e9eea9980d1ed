// The playground: sends the editor's text to the compiler, and its answers to the panes.
// Answers about an older text are dropped.

import {Compiler} from "./compiler.js"
import {element, marked} from "./elements.js"
import {applyFix, createEditor, goTo, replaceText, showFindings} from "./editor.js"
import {Files, MAIN} from "./files.js"
import {showCurrent, showList, showPicture, showTable, showTotals} from "./panes.js"
import {rendered} from "./pages.js"
import {fromFragment, toFragment} from "./share.js"

const PAUSE_MS = 60
const DRAFT = "dsd-playground-draft"
const MAX_DRAFT = 500_000
const place = (state, position) => {
  const line = state.doc.lineAt(position)
  return {line: line.number - 1, character: position - line.from}
}
const part = (name) => document.getElementById(`pg-${name}`)
const filesOf = ({text, files = {}}) => [
  {name: MAIN, text}, ...Object.entries(files).map(([name, used]) => ({name, text: used})),
]

/** Starts the playground in its element, once. */
export async function mount(root) {
  if (root === null || root.dataset.mounted) return
  root.dataset.mounted = "true"
  part("missing").remove()
  root.hidden = false
  const examples = await (await fetch(new URL("examples.json", import.meta.url))).json()
  new Playground(root, examples).begin()
}

class Playground {
  constructor(root, examples) {
    Object.assign(this, {root, examples, version: 0, rows: [], hasPlan: false, wanted: "plan"})
    this.compiler = new Compiler(new URL("worker.js", import.meta.url), {
      onReady: (loaded) => this.ready(loaded),
      onBroken: (reason) => this.broken(reason),
    })
  }

  async begin() {
    this.say("loading the compiler…", "busy")
    this.fillExamples()
    const first = await this.linked() ?? this.draft() ?? {files: filesOf(this.examples[0]), model: ""}
    this.model = first.model
    const {view, newState} = createEditor({
      parent: part("editor"),
      onText: (text) => this.typed(text),
      onPlace: () => this.showCurrent(),
      onFormat: () => this.rewrite("format"),
      complete: (context) => this.complete(context),
      hover: (view, position) => this.hover(view, position),
    })
    this.view = view
    this.files = new Files(part("files"), {
      turn: (file) => this.edit(file, newState),
      refuse: (message) => this.problem({message}),
    })
    this.files.replace(first.files)
    this.listen()
    const {models} = await this.compiler.ask({ask: "models"})
    this.fillModels(models)
    this.compile()
  }

  /** Shows a file in the editor, with its own history of changes. */
  edit(file, newState) {
    if (this.edited) this.edited.state = this.view.state
    this.edited = file
    this.view.setState(file.state ?? newState(file.text))
    this.changed()
  }

  typed(text) {
    this.files.open.text = text
    this.changed()
  }

  /** Marks the row of the phase at the cursor. */
  showCurrent() {
    showCurrent(this.root, this.rows, this.files.open === this.files.main ? this.view.state.selection.main.head : -1)
  }

  /** Goes to a phase, in the schedule. */
  goToRow(row) {
    if (this.files.open !== this.files.main) this.files.turnTo(this.files.main)
    goTo(this.view, row)
  }

  listen() {
    part("example").onchange = ({target}) => this.takeExample(target)
    part("model").onchange = ({target}) => this.takeModel(target.value)
    part("format").onclick = () => this.rewrite("format")
    part("fix").onclick = () => this.rewrite("fix")
    part("share").onclick = () => this.share()
    part("download").onclick = () => this.download()
    const tabs = ["plan", "graph"]
    for (const [at, name] of tabs.entries()) {
      part(`tab-${name}`).onclick = () => this.turnTo(name)
      part(`tab-${name}`).onkeydown = ({key}) => {
        if (key === "ArrowLeft" || key === "ArrowRight") this.turnTo(tabs[1 - at], {hasFocus: true})
      }
    }
    addEventListener("hashchange", () => this.follow())
    new ResizeObserver(() => this.resized()).observe(part("timeline"))
  }

  // texts from elsewhere

  fillExamples() {
    const groups = new Map()
    for (const [index, {group, name}] of this.examples.entries()) {
      if (!groups.has(group)) groups.set(group, element("optgroup", {label: group}))
      groups.get(group).append(new Option(name, index))
    }
    part("example").append(...groups.values())
  }

  fillModels(models) {
    part("model").append(...models.map(({name, summary}) => Object.assign(new Option(name, name), {title: summary})))
    part("model").value = models.some(({name}) => name === this.model) ? this.model : ""
    this.model = part("model").value
  }

  takeExample(select) {
    const example = this.examples[Number(select.value)]
    if (select.value === "") return
    this.model = part("model").value = ""
    this.take(filesOf(example))
  }

  /** Takes other files; a single text in place of a single one is a change that can be undone. */
  take(files) {
    if (files.length > 1 || this.files.all.length > 1) return this.files.replace(files)
    this.view.dispatch({
      changes: {from: 0, to: this.view.state.doc.length, insert: files[0].text}, selection: {anchor: 0},
    })
  }

  takeModel(name) {
    this.model = name
    this.changed()
  }

  draft() {
    const kept = sessionStorage.getItem(DRAFT)
    return kept === null ? null : JSON.parse(kept)
  }

  async linked() {
    try {
      return await fromFragment(location.hash)
    } catch (error) {
      this.problem({message: error.message})
      return null
    }
  }

  async follow() {
    const linked = await this.linked()
    if (linked === null) return
    if (linked.files.length === 1 && this.files.all.length === 1) replaceText(this.view, linked.files[0].text)
    else this.files.replace(linked.files)
    part("model").value = linked.model
    this.takeModel(part("model").value)
  }

  async share() {
    const fragment = await toFragment({files: this.files.kept(), model: this.model})
    history.replaceState(history.state, "", fragment)
    const link = new URL(fragment, location.href).href
    try {
      await navigator.clipboard.writeText(link)
      this.say("link copied", "done")
    } catch {
      this.say("the link is in the address bar", "done") // no clipboard without https or permission
    }
  }

  // from the text to the panes

  changed() {
    this.version += 1
    this.root.dataset.settled = "false"
    const draft = JSON.stringify({files: this.files.kept(), model: this.model})
    if (draft.length <= MAX_DRAFT) sessionStorage.setItem(DRAFT, draft)
    clearTimeout(this.pause)
    this.pause = setTimeout(() => this.compile(), PAUSE_MS)
  }

  /** One round at a time; changes in the meantime start the next one. */
  async compile() {
    if (this.isCompiling) {
      this.isOutdated = true
      return
    }
    this.isCompiling = true
    const {version} = this
    try {
      await this.compileOnce(version)
    } catch (error) {
      if (version === this.version) this.problem({message: error.message})
    }
    this.isCompiling = false
    this.root.dataset.settled = String(version === this.version)
    if (this.isOutdated) {
      this.isOutdated = false
      this.compile()
    }
  }

  async compileOnce(version) {
    const checked = await this.ask("check")
    if (version !== this.version) return
    this.problem(checked.problem)
    if (checked.findings) this.showFindings(checked)
    if (checked.problem) return this.planIsStale(true)
    if (checked.findings.some(({severity}) => severity === "error")) return this.planIsStale(true)
    const planned = await this.askOfMain("plan", {width: this.width()})
    if (version !== this.version) return
    this.problem(planned.problem)
    if (planned.plan) this.showPlan(planned.plan)
    this.planIsStale(!planned.plan)
    if (this.wanted === "graph") await this.showGraph()
    this.learnWords()
  }

  /** A question about the file in the editor. */
  ask(ask, more = {}) {
    return this.askOf(this.files?.open ?? {name: MAIN, text: ""}, ask, more)
  }

  /** A question about the schedule. */
  askOfMain(ask, more = {}) {
    return this.askOf(this.files.main, ask, more)
  }

  askOf(file, ask, more) {
    const {name, text} = file
    return this.compiler.ask({ask, name, text, files: this.files?.beside(file) ?? {}, model: this.model || null, ...more})
  }

  width() {
    return Math.max(280, Math.floor(part("timeline").clientWidth || part("plan").parentElement.clientWidth - 16))
  }

  resized() {
    const width = this.width()
    if (!this.hasPlan || width === this.drawnWidth) return
    clearTimeout(this.pause)
    this.pause = setTimeout(() => this.compile(), 150)
  }

  showFindings(checked) {
    showFindings(this.view, checked.findings)
    showList(part("list"), part("summary"), checked, {
      goTo: (place) => goTo(this.view, place),
      apply: (fix) => applyFix(this.view, fix),
    })
    part("fix").disabled = !checked.findings.some(({fix}) => fix?.applicability === "safe" && fix.edits.length > 0)
  }

  showPlan(plan) {
    this.rows = plan.rows
    this.drawnWidth = this.width()
    showPicture(part("timeline"), plan.timeline, (row) => this.rows[row] && this.goToRow(this.rows[row]))
    showTable(part("table"), plan, (row) => this.goToRow(row))
    showTotals(part("totals"), plan.totals)
    part("counts").textContent = plan.counts
    part("counts").hidden = plan.counts === ""
    part("notes").replaceChildren(marked(plan.notes.join("; ")))
    part("legend").hidden = false
    part("rates").hidden = !plan.has_rates
    part("marked").hidden = !plan.is_derived
    part("download").disabled = false
    this.hasPlan = true
    this.showCurrent()
  }

  planIsStale(isStale) {
    part("stale").hidden = !(isStale && this.hasPlan)
    this.root.classList.toggle("pg-stale", isStale && this.hasPlan)
    part("download").disabled = isStale || !this.hasPlan
  }

  async showGraph() {
    const {version} = this
    const {graph} = await this.askOfMain("graph")
    if (graph && version === this.version) showPicture(part("graph"), graph)
  }

  // buttons

  async rewrite(how) {
    const {version} = this
    try {
      const {text, problem, num_applied: count} = await this.ask(how)
      this.problem(problem)
      if (problem || version !== this.version) return
      replaceText(this.view, text)
      this.say(how === "format" ? "formatted" : `${count} ${count === 1 ? "fix" : "fixes"} applied`, "done")
    } catch (error) {
      this.problem({message: error.message})
    }
  }

  async download() {
    const {json} = await this.askOfMain("json")
    const link = document.createElement("a")
    link.href = URL.createObjectURL(new Blob([json], {type: "application/json"}))
    link.download = "plan.json"
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  }

  turnTo(name, {hasFocus = false} = {}) {
    this.wanted = name
    for (const tab of ["plan", "graph"]) {
      part(tab).hidden = tab !== name
      part(`tab-${tab}`).setAttribute("aria-selected", tab === name)
      part(`tab-${tab}`).tabIndex = tab === name ? 0 : -1
    }
    if (hasFocus) part(`tab-${name}`).focus()
    this.compile()
  }

  // completion and hover, once the language server is loaded

  async complete(context) {
    const word = context.matchBefore(/@?[\w.]*/)
    const previous = context.state.sliceDoc(word.from - 1, word.from)
    if (!this.knowsWords || (word.from === word.to && !context.explicit && !"=,(".includes(previous || " "))) return null
    const {offers} = await this.askQuietly("complete", place(context.state, context.pos))
    if (!offers?.length) return null
    const options = offers.map(({label, insert, detail, page}, index) => ({
      label, detail, apply: insert, boost: -index, info: page ? () => rendered(page) : undefined,
    }))
    return {from: word.from, options, validFor: /^@?[\w.]*$/}
  }

  async hover(view, position) {
    if (!this.knowsWords) return null
    const {page} = await this.askQuietly("hover", place(view.state, position))
    return page ?? null
  }

  /** An answer for the editor; on an error it is empty, and the error is shown. */
  async askQuietly(ask, more) {
    try {
      return await this.ask(ask, more)
    } catch (error) {
      this.problem({message: error.message})
      return {}
    }
  }

  async learnWords() {
    if (this.knowsWords !== undefined) return
    this.knowsWords = false
    this.knowsWords = "page" in await this.askQuietly("hover", {text: ""})
    this.root.dataset.words = this.knowsWords
  }

  // status messages

  ready({dsd, python, pyodide}) {
    this.say(`dsd ${dsd}`, "ready")
    part("status").title = `dsd ${dsd} on Python ${python}, Pyodide ${pyodide}`
    part("format").disabled = false
  }

  broken(reason) {
    this.say("the compiler is not there", "broken")
    this.problem({message: reason})
  }

  say(text, kind) {
    part("status").textContent = text
    part("status").dataset.kind = kind
  }

  problem(problem) {
    const place = part("problem")
    place.hidden = !problem
    place.replaceChildren(...(problem ? [marked(problem.help ? `${problem.message}: ${problem.help}` : problem.message)] : []))
  }
}
