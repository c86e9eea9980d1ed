// The language configuration (its path as the first argument) tried on lines, as an editor would; the answers as JSON.
"use strict";

const fs = require("node:fs");

const configuration = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const word = new RegExp(configuration.wordPattern.pattern, `${configuration.wordPattern.flags}g`);
const more = new RegExp(configuration.indentationRules.increaseIndentPattern);
const less = new RegExp(configuration.indentationRules.decreaseIndentPattern);

/** What becomes of the indent after a line, with the line before it and the text after the cursor. */
function enter(line, before = "", after = "") {
  const fits = (pattern, text) => pattern === undefined || new RegExp(pattern).test(text);
  const rule = configuration.onEnterRules.find(
    ({ beforeText, previousLineText, afterText }) =>
      fits(beforeText, line) && fits(previousLineText, before) && fits(afterText, after),
  );
  return rule === undefined ? null : rule.action.indent;
}

const answers = {
  words: "sparse 0.5 layers=größe,@full.end 50ep 30%".match(word),
  more: ["fork {", "  dsd: { # why", "sparse [", "dense 5ep", "# fork {", "x: { dense 5ep }"].filter((line) => more.test(line)),
  less: ["}", "  }", "dense 5ep"].filter((line) => less.test(line)),
  enter: [
    enter("fork {", "", "}"),
    enter("sparse 50% \\", "dense"),
    enter("  5ep \\", "sparse 50% \\"),
    enter("  5ep", "sparse 50% \\"),
    enter("dense 5ep", "x"),
    enter("# one two", "", "three"),
  ],
};
process.stdout.write(JSON.stringify(answers));
