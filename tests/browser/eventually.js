import assert from "node:assert/strict";

const WITHIN = 20_000;
const BETWEEN = 100;

/** Repeats `check` until it passes, and hands on what it returns; at the deadline its error. */
export async function eventually(what, check, { within = WITHIN } = {}) {
  const deadline = Date.now() + within;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() >= deadline) {
        throw new Error(`${what}: not within ${within} ms: ${error.message}`, { cause: error });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN));
  }
}

/** Waits until `read` gives at least `by` more than it did at first. */
export async function grows(what, read, by = 1, options) {
  const before = await read();
  assert.equal(typeof before, "number", `${what} cannot be read`);
  await eventually(
    `${what} grows`,
    async () => {
      const now = await read();
      assert.ok(now >= before + by, `it was ${before} and is ${now}`);
    },
    options,
  );
}
