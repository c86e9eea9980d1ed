// The files of the page: the schedule, and those that it uses. One is in the editor; the plan is that of the schedule.

import {element} from "./elements.js"

export const MAIN = "playground.dsd"
const NAME = /^[\w-]+\.dsd$/

export class Files {
  /** `turn` shows a file in the editor, `refuse` says why a name is none. */
  constructor(strip, {turn, refuse}) {
    Object.assign(this, {strip, turn, refuse, all: [], open: null})
  }

  get main() {
    return this.all[0]
  }

  /** Other files in place of all; the first is the schedule. */
  replace(files) {
    this.all = files.map(({name, text}) => ({name, text}))
    this.turnTo(this.main)
  }

  /** The texts of all files but one, by name. */
  beside(file) {
    return Object.fromEntries(this.all.filter((other) => other !== file).map(({name, text}) => [name, text]))
  }

  /** What a draft or a link keeps. */
  kept() {
    return this.all.map(({name, text}) => ({name, text}))
  }

  turnTo(file) {
    this.open = file
    this.show()
    this.turn(file)
  }

  add() {
    const name = prompt("The name of the new file", this.freeName())?.trim()
    if (!name) return
    if (!NAME.test(name)) return this.refuse(`\`${name}\` is not the name of a schedule, such as \`common.dsd\``)
    if (this.all.some((file) => file.name === name)) return this.refuse(`there is a file \`${name}\` already`)
    const file = {name, text: ""}
    this.all.push(file)
    this.turnTo(file)
  }

  remove(file) {
    if (file.text.trim() && !confirm(`Remove ${file.name} with its text?`)) return
    this.all = this.all.filter((other) => other !== file)
    this.turnTo(this.main)
  }

  freeName() {
    const names = new Set(this.all.map(({name}) => name))
    for (let number = 1; ; number++) {
      const name = number === 1 ? "common.dsd" : `common${number}.dsd`
      if (!names.has(name)) return name
    }
  }

  show() {
    const tabs = this.all.map((file) => element("button", {
      type: "button", role: "tab", "aria-controls": "pg-editor", "aria-selected": String(file === this.open),
      onclick: () => this.turnTo(file),
    }, file === this.main ? "schedule" : file.name))
    const {open} = this
    const removal = open !== this.main && element("button", {
      type: "button", class: "pg-remove", title: `Remove ${open.name}`, "aria-label": `Remove ${open.name}`,
      onclick: () => this.remove(open),
    }, "×")
    const added = element("button", {
      type: "button", class: "pg-add", title: "Add a file that the schedule can use", onclick: () => this.add(),
    }, "+ file")
    this.strip.replaceChildren(...[...tabs, removal, added].filter(Boolean))
  }
}
