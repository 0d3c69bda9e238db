// Opens the page of documentation in a headless Chromium, tries operations out,
// and prints as JSON what it saw: node docs.js MODULES CHROMIUM PAGE TOKEN.
// TestDocsPage (docs_test.go) runs it and judges.
"use strict";

const [modules, executablePath, page, token] = process.argv.slice(2);
const { chromium } = require(`${modules}/playwright-core`);

const patience = 60_000;
const seen = { violations: [], elsewhere: [], errors: [], answers: {} };

async function main() {
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    // Root has no sandbox. All that is opened is the daemon's own page, and no
    // other name than its address leads anywhere.
    chromiumSandbox: process.getuid() !== 0,
    args: ["--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
    timeout: patience,
  });
  try {
    await visit(await browser.newPage());
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
}

async function visit(tab) {
  tab.setDefaultTimeout(patience);
  tab.on("request", (r) => {
    const url = new URL(r.url());
    if (url.protocol !== "data:" && url.origin !== new URL(page).origin) seen.elsewhere.push(r.url());
  });
  tab.on("pageerror", (e) => seen.errors.push(String(e)));
  await tab.exposeFunction("noteViolation", (v) => seen.violations.push(v));
  await tab.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => window.noteViolation(`${e.violatedDirective}: ${e.blockedURI} ${e.sample}`));
  });
  await tab.goto(page);
  seen.title = await tab.title();
  seen.answers.capabilities = await tryOut(tab, "get", "/v1/capabilities");
  seen.answers.filesWithoutToken = await tryOut(tab, "get", "/v1/files");
  await authorize(tab);
  seen.answers.files = await tryOut(tab, "get", "/v1/files");
  seen.operations = await tab.locator(".opblock").count();
  seen.stored = await tab.evaluate(() => localStorage.length + sessionStorage.length);

  // What follows is to be refused: without it, no violation would say nothing.
  seen.before = [...seen.violations];
  seen.ran = await tab.evaluate(async () => {
    const inline = document.createElement("script");
    inline.textContent = "window.ran = true";
    document.body.append(inline);
    const styled = document.createElement("p");
    styled.setAttribute("style", "color: red");
    document.body.append(styled);
    let fetched = true;
    try {
      await fetch("http://127.0.0.1:9/");
    } catch {
      fetched = false;
    }
    return window.ran === true || fetched || styled.style.color === "red";
  });
  // The browser tells of each when it comes to that.
  const told = seen.before.length + 3;
  for (const end = Date.now() + patience; seen.violations.length < told && Date.now() < end; ) {
    await tab.waitForTimeout(20);
  }
}

// tryOut does what a reader does: open the operation, "Try it out", "Execute".
async function tryOut(tab, method, path) {
  const block = tab.locator(`.opblock-${method}`).filter({ has: tab.locator(`[data-path="${path}"]`) });
  await block.waitFor();
  if ((await block.locator(".try-out__btn").count()) === 0) {
    await block.locator(".opblock-summary-control").click();
    await block.locator(".try-out__btn").click();
  }
  const answered = tab.waitForResponse((r) => new URL(r.url()).pathname.endsWith(path) && r.request().method() === method.toUpperCase());
  await block.locator(".btn.execute").click();
  const status = (await answered).status();
  await block.locator(".live-responses-table tbody .response-col_status").filter({ hasText: String(status) }).waitFor();
  return { status, text: await block.locator(".live-responses-table tbody .response-col_description").innerText() };
}

async function authorize(tab) {
  await tab.locator(".auth-wrapper .btn.authorize").first().click();
  const scheme = tab.locator(".modal-ux .auth-container").filter({ hasText: /http, bearer/i });
  await scheme.locator("input").fill(token);
  await scheme.locator(".btn.authorize").click();
  await scheme.locator(".btn-done").click();
}

main().catch((e) => {
  console.error(e);
  process.exitCode = 1;
});
