// Sends questions to the worker and returns promises; restarts the worker if a program takes too long or breaks it.

const PATIENCE_MS = 10_000
const START_MS = 120_000
const TOO_LONG = `this schedule takes longer than ${PATIENCE_MS / 1000} seconds to compile in a browser: try \`dsd-plan\``
const TOO_SLOW = "the compiler cannot be loaded: the network is too slow"

export class Compiler {
  /** `onReady` is called at every start with what was loaded, `onBroken` with the reason why it failed. */
  constructor(script, {onReady, onBroken}) {
    Object.assign(this, {script, onReady, onBroken, waiting: new Map(), number: 0})
    this.start()
  }

  start() {
    this.isReady = false
    this.worker = new Worker(this.script, {type: "module"})
    this.worker.onmessage = ({data}) => this.heard(data)
    this.worker.onerror = (event) => {
      event.preventDefault()
      this.fail(event.message || "the compiler cannot be loaded")
    }
    this.expect(START_MS, () => this.fail(TOO_SLOW))
  }

  /** The answer to a question; rejects with a sentence. */
  ask(question) {
    return new Promise((resolve, reject) => {
      const id = ++this.number
      this.waiting.set(id, {resolve, reject})
      this.worker.postMessage({id, question})
      if (this.waiting.size === 1 && this.isReady) this.watch()
    })
  }

  heard(data) {
    if (data.broken) {
      this.fail(data.broken)
    } else if (data.isLoading) {
      this.expect(START_MS, () => this.fail(TOO_SLOW))
    } else {
      if (data.ready) {
        this.isReady = true
        this.onReady(data)
      }
      if (data.id) this.settle(data)
      if (data.isFatal) this.restart("internal error: the compiler broke down and was started again")
      else this.watch()
    }
  }

  settle({id, answer, failure}) {
    const {resolve, reject} = this.waiting.get(id)
    this.waiting.delete(id)
    if (failure === undefined) resolve(answer)
    else reject(new Error(`internal error: ${failure}`))
  }

  /** Limits the time for the worker's next answer, while one is expected. */
  watch() {
    clearTimeout(this.timer)
    if (this.waiting.size > 0) this.expect(PATIENCE_MS, () => this.restart(TOO_LONG))
  }

  expect(milliseconds, otherwise) {
    clearTimeout(this.timer)
    this.timer = setTimeout(otherwise, milliseconds)
  }

  restart(reason) {
    clearTimeout(this.timer)
    this.worker.terminate()
    this.rejectAll(reason)
    this.start()
  }

  fail(reason) {
    clearTimeout(this.timer)
    this.worker.terminate()
    this.rejectAll(reason)
    this.onBroken(reason)
  }

  rejectAll(reason) {
    const left = [...this.waiting.values()]
    this.waiting.clear()
    for (const {reject} of left) reject(new Error(reason))
  }
}
