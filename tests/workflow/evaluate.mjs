// Evaluates JSONata expressions with the reference implementation: node evaluate.mjs TOOLS, where TOOLS/node_modules has it.
// Standard input: a list of {expression, bindings}; standard output: a list of {value}, without one where it is undefined.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const jsonata = createRequire(join(process.argv[2], "node_modules", "/"))("jsonata");
const answers = [];
for (const { expression, bindings } of JSON.parse(readFileSync(0, "utf8"))) {
  answers.push({ value: await jsonata(expression).evaluate(undefined, bindings) });
}
process.stdout.write(JSON.stringify(answers));
