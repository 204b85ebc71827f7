// Reads an AsyncAPI document from stdin and prints, as JSON, what the official parser has against it.
const { Parser } = require("@asyncapi/parser");

const chunks = [];
process.stdin.on("data", (chunk) => chunks.push(chunk));
process.stdin.on("end", async () => {
  const { document, diagnostics } = await new Parser().parse(Buffer.concat(chunks).toString("utf8"));
  const findings = diagnostics
    .filter(({ code }) => code !== "asyncapi-latest-version")
    .map(({ code, message, path }) => ({ code, message, path: path.join("/") }));
  console.log(JSON.stringify({ parsed: document !== undefined, findings }));
});
