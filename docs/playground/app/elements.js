// Creates DOM elements.

/** An element; children that are empty or null are left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value)
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value)
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== "" && child !== false))
  return made
}

/** A sentence with its `things` in code. */
export function marked(text) {
  const pieces = text.split(/`([^`]+)`/)
  return element("span", {}, ...pieces.map((piece, index) => (index % 2 ? element("code", {}, piece) : piece)))
}
