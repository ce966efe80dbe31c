// Judges templates with cdk-nag's pack AwsSolutions: `node security_rules.mjs TOOLS FOLDER`, where TOOLS/node_modules has the package
// and FOLDER one template per file, NAME.json. Output: a list of {rule, resource, reason}; a resource is NAME/LogicalId.
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [tools, folder] = process.argv.slice(2);
const require = createRequire(join(tools, "node_modules", "/"));
const { App, Stack } = require("aws-cdk-lib");
const { CfnInclude } = require("aws-cdk-lib/cloudformation-include");
const { AwsSolutionsChecks } = require("cdk-nag");

const app = new App({ analyticsReporting: false });
const found = readdirSync(folder).flatMap((file) => {
  const stack = new Stack(app, file.replace(/\.json$/, ""));
  new CfnInclude(stack, "Template", { templateFile: join(folder, file) });
  // The pack's text says why a rule could not judge only when it is verbose.
  const { violations } = new AwsSolutionsChecks(app, { verbose: true }).validateScope(stack);
  return violations.flatMap(({ ruleName, description, violatingResources }) =>
    violatingResources.map(({ constructPath }) => ({
      rule: ruleName,
      resource: constructPath.replace("/Template/", "/"),
      reason: description,
    })),
  );
});
process.stdout.write(JSON.stringify(found));
