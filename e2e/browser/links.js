// Opens a page that shows pictures of a daemon's, has it put a file by a signed
// link and get one, and prints as JSON what came of it: node links.js MODULES
// CHROMIUM PAGE. TestPagesUseLinks (links_test.go) runs it and judges.
"use strict";

const [modules, executablePath, page] = process.argv.slice(2);
const { chromium } = require(`${modules}/playwright-core`);

const patience = 60_000;

async function main() {
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    // Root has no sandbox. No name but those of this machine leads anywhere.
    chromiumSandbox: process.getuid() !== 0,
    args: ["--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"],
    timeout: patience,
  });
  try {
    const tab = await browser.newPage();
    tab.setDefaultTimeout(patience);
    await tab.goto(page);
    const seen = await tab.evaluate(async () => {
      const { put, get } = document.body.dataset;
      const seen = { widths: {} };
      for (const image of document.images) {
        await image.decode().catch(() => {});
        seen.widths[image.id] = image.naturalWidth;
      }
      const ask = async (url, init) => {
        try {
          const answer = await fetch(url, init);
          return { status: answer.status, text: await answer.text() };
        } catch (e) {
          return { status: 0, text: String(e) };
        }
      };
      seen.put = await ask(put, { method: "PUT", body: new Blob(["put by ", "a page"], { type: "text/plain" }) });
      seen.get = await ask(get, { headers: { Range: "bytes=1-3" } });
      return seen;
    });
    console.log(JSON.stringify(seen));
  } finally {
    await browser.close();
  }
}

main().catch((e) => {
  console.error(e);
  process.exitCode = 1;
});
