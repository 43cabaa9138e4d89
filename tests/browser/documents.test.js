import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import specifications from "@asyncapi/specs";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import { Server } from "./server.js";

// The documents that a server gives programs, held against what AsyncAPI and OpenAPI say of such.
let server;

before(async () => (server = await Server.start()));
after(() => server?.close());

async function read(url) {
  const answer = await fetch(url);
  assert.equal(answer.status, 200);
  return answer.json();
}

/** Says what the schema of AsyncAPI 3.0.0 has against a document. */
function asyncApiJudge() {
  // The schema brings draft 7 of JSON Schema, its own schema, along.
  const ajv = new Ajv({ strict: false, meta: false, validateSchema: false, allErrors: true });
  addFormats(ajv);
  const validate = ajv.compile(specifications.schemas["3.0.0"]);
  return (document) => (validate(document) ? [] : validate.errors);
}

/** What the schema of the OpenAPI version that a document names has against it. */
async function faultsAsOpenApi(document) {
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  return valid ? [] : [errors].flat();
}

test("the AsyncAPI document is one", async () => {
  const document = await read(`${server.url}/v1/asyncapi.json`);
  const faultsAsAsyncApi = asyncApiJudge();
  assert.deepEqual(faultsAsAsyncApi(document), []);
  for (const spoil of [
    ({ operations }) => (operations.hear.action = "listen"),
    ({ channels }) => (channels.websocket.adress = "/v1/ws"),
    ({ components }) => (components.messages.client_hello.payload = "a hello"),
    ({ components }) => (components.schemas.client_hello.required = "type"),
    ({ info }) => delete info.version,
  ]) {
    const spoilt = structuredClone(document);
    spoil(spoilt);
    assert.notDeepEqual(faultsAsAsyncApi(spoilt), [], `${spoil}`);
  }
});

for (const [whose, url] of [
  ["public", () => `${server.url}/v1/openapi.json`],
  ["operator's", () => `http://${server.metrics}/openapi.json`],
]) {
  test(`the ${whose} OpenAPI document is one`, async () => {
    const document = await read(url());
    assert.equal(document.openapi, "3.1.0");
    assert.deepEqual(await faultsAsOpenApi(document), []);
    const [path] = Object.keys(document.paths);
    const [method] = Object.keys(document.paths[path]);
    for (const spoil of [
      (operation) => (operation.responses["2000"] = { description: "Too many digits" }),
      (operation) => delete Object.values(operation.responses)[0].description,
      (operation) => (operation.parameters = [{ name: "wait", in: "nowhere" }]),
      (operation) => (operation.security = ["key"]),
    ]) {
      const spoilt = structuredClone(document);
      spoil(spoilt.paths[path][method]);
      assert.notDeepEqual(await faultsAsOpenApi(spoilt), [], `${spoil}`);
    }
  });
}
