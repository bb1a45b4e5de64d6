"use strict";

const SAMPLES = {
  "Search with facets": [
    `query Search($text: String) {
  search(text: $text, first: 10) {
    totalCount
    facets(fields: [DOMAIN, OWNER, CLASSIFICATION, TYPE]) { field otherCount buckets { key label count } }
    edges { score node { iri label ... on DataProduct { key status } } highlights { fragment spans { start end } } }
  }
}`, { text: "customer" }],
  "Product page": [
    `query Product($key: String!) {
  dataProduct(key: $key) {
    id iri label description version status license updatedAt
    domain { label } owner { label email } classification { label } terms { label }
    ports { key direction endpoint physicalName }
    datasets { label columns(first: 50) { nodes { name datatype nullable classification { label } } } }
    conformance { conforms counts { violation warning info } }
    revisions(first: 5) { nodes { number at by } }
  }
}`, { key: "sales.orders" }],
  "Products": [
    `{
  dataProducts(first: 20) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes { id key label status domain { label } owner { label } }
  }
}`, {}],
  "Lineage": [
    `query Lineage($key: String!) {
  dataProduct(key: $key) {
    lineage(input: { direction: BOTH, depth: 5 }) {
      truncated
      summary { upstreamCount downstreamCount }
      nodes { distance resource { id label } moreUpstream moreDownstream }
      edges { from to predicate { curie } }
    }
  }
}`, { key: "sales.orders" }],
  "Walk to products of the same owner": [
    `query Walk($id: ID!) {
  traverse(input: { from: [$id], steps: [
    { predicates: ["https://ekgf.github.io/dprod/dataProductOwner"] }
    { predicates: ["https://ekgf.github.io/dprod/dataProductOwner"], direction: IN }
  ] }, first: 20) {
    truncated
    edges { node { iri label } path { predicate { curie } direction to { label } } crossesDomains { label } }
  }
}`, { id: "cnNhbGVzLm9yZGVycw" }],
  "Any node": [
    `query Node($iri: IRI!) {
  resource(iri: $iri) {
    __typename id label types { curie }
    relationSummary { predicate { curie } direction count }
    relations(direction: BOTH, first: 20) { totalCount edges { direction predicate { curie } node { iri label } } }
  }
}`, { iri: "http://localhost/id/domain/sales" }],
  "Policies (stewards)": [`{ policies { path version publishedAt publishedBy tests description } }`, {}],
  "Why may somebody do this? (stewards)": [
    `query Explain($actor: String!, $action: Action!, $key: String!) {
  explain(actor: $actor, action: $action, key: $key) {
    decision { allowed reasons obligations { kind detail } policy revision }
    facts
    rules { file row rule value }
  }
}`, { actor: "anonymous", action: "READ_METADATA", key: "sales.orders" }],
  "How the mesh stands by the rules": [
    `{
  governance {
    at products conforming pending fairMean
    byDomain { label products conforming waived fairMean }
    byShape { key label products violations findings }
    byOwner { label products conforming violations }
    failed { rule products }
    trend(points: 6) { at products conforming fairMean }
  }
}`, {}],
  "What conforms, and what does not?": [
    `query Standing($text: String, $conforms: Boolean) {
  search(text: $text, filter: { conforms: $conforms }, orderBy: FAIR_SCORE, first: 10) {
    totalCount
    facets(fields: [CONFORMS, FAIR_BAND, DOMAIN]) { field buckets { key label count } }
    nodes { label ... on DataProduct {
      key
      conformance { conforms groups { rule count fix } failed { rule reason } }
      waivers { ruleId expiresAt reason }
    } }
  }
}`, { conforms: true }],
  "How FAIR is a product?": [
    `query Fair($key: String!) {
  dataProduct(key: $key) {
    fair {
      score findable accessible interoperable reusable
      indicators { code priority basis passed title evidence fix }
    }
  }
}`, { key: "sales.orders" }],
  "What happened? (after goes on)": [
    `query Changes($after: String) {
  changes(kinds: [UPDATED, RETIRED, CONFORMANCE_CHANGED, SHAPES_CHANGED, POLICY_CHANGED], first: 20, after: $after) {
    nodes { at kind by conforms resource { label } revision { number version } }
    pageInfo { hasNextPage endCursor }
  }
}`, {}],
  "Rules": [`{
  shapes { iri label severity mode nextMode nextModeFrom owner since scope targets { curie } page }
  ruleSet { digest at by source domain }
}`, {}],
};

const INTROSPECTION = `{ __schema { types { name kind description
  fields { name description args { name type { ...T } defaultValue } type { ...T } }
  inputFields { name description type { ...T } defaultValue }
  enumValues { name description } possibleTypes { name } } } }
fragment T on __Type { name kind ofType { name kind ofType { name kind ofType { name kind } } } }`;

const $ = (id) => document.getElementById(id);

async function ask(query, variables) {
  const headers = { "Content-Type": "application/json", Accept: "application/graphql-response+json, application/json" };
  const token = $("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  return [response, await response.json()];
}

function say(text, bad) {
  $("status").textContent = text;
  $("status").className = bad ? "bad" : "";
}

async function run() {
  let variables;
  try {
    variables = JSON.parse($("variables").value.trim() || "{}");
  } catch (error) {
    return say(`Variables are not JSON: ${error.message}`, true);
  }
  const started = performance.now();
  say("Running");
  try {
    const [response, body] = await ask($("query").value, variables);
    const cost = body.extensions?.fairmesh?.cost;
    const time = Math.round(performance.now() - started);
    say(`${response.status}, ${time} ms` + (cost === undefined ? "" : `, cost ${cost}`), !response.ok || body.errors);
    $("answer").textContent = JSON.stringify(body, null, 2);
  } catch (error) {
    say(`No answer: ${error.message}`, true);
  }
}

function typeText(type) {
  if (type.kind === "NON_NULL") return `${typeText(type.ofType)}!`;
  if (type.kind === "LIST") return `[${typeText(type.ofType)}]`;
  return type.name;
}

function argument(arg) {
  return `${arg.name}: ${typeText(arg.type)}` + (arg.defaultValue === null ? "" : ` = ${arg.defaultValue}`);
}

function signature(field) {
  if (!field.type) return field.name;
  const args = field.args?.length ? `(${field.args.map(argument).join(", ")})` : "";
  return field.args ? `${field.name}${args}: ${typeText(field.type)}` : argument(field);
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function typeDocs(type) {
  const block = document.createElement("details");
  block.append(element("summary", type.name));
  if (type.description) block.append(element("p", type.description));
  const list = document.createElement("dl");
  for (const field of type.fields ?? type.inputFields ?? type.enumValues ?? []) {
    list.append(element("dt", signature(field)));
    if (field.description) list.append(element("dd", field.description));
  }
  block.append(list);
  return block;
}

async function loadDocs() {
  const [response, body] = await ask(INTROSPECTION, {});
  if (!response.ok || !body.data) return say("The schema cannot be read", true);
  const rank = (type) => ["Query", "Mutation"].indexOf(type.name) >>> 0; // those two first
  const types = body.data.__schema.types.filter((type) => !type.name.startsWith("__") && type.kind !== "SCALAR");
  types.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  const blocks = types.map((type) => [JSON.stringify(type).toLowerCase(), typeDocs(type)]);
  $("docs").replaceChildren(...blocks.map(([, block]) => block));
  $("find").addEventListener("input", () => {
    const wanted = $("find").value.trim().toLowerCase();
    for (const [text, block] of blocks) block.hidden = wanted !== "" && !text.includes(wanted);
  });
  if (blocks.length) blocks[0][1].open = true;
}

function choose(name) {
  const [query, variables] = SAMPLES[name];
  $("query").value = query;
  $("variables").value = JSON.stringify(variables, null, 2);
}

for (const name of Object.keys(SAMPLES)) $("sample").append(element("option", name));
$("sample").addEventListener("change", () => choose($("sample").value));
$("run").addEventListener("click", run);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});
choose(Object.keys(SAMPLES)[0]);
loadDocs().catch((error) => say(`The schema cannot be read: ${error.message}`, true));
