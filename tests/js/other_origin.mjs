// A browser in which an organiser is logged in at her chapter's node opens pages of other origins, and those try whatever a
// page can try: `node other_origin.mjs CHROMIUM`, with {node, name, password, person} as JSON on standard input. Prints what
// came of each try, as one line of JSON; `mark` is what is written beside the one attempt that the node's own page logs.
//
// Invariant: nothing here knows the node's secrets but the browser, which has logged in by the form. Knows nothing of what
// the node keeps: whether something has changed there is asked by commands.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import { chromium } from "playwright-core";

/** A name of somebody else, whose owner has it lead to this machine. */
const REBOUND = "evil.example";
/** How long anything may take, in ms. */
const PATIENCE = 20_000;

const { node, name, password, person } = JSON.parse(readFileSync(0, "utf8"));
const port = new URL(`http://${node}`).port;
const act = `/people/${person}/attempts`;
const fields = (line) => new URLSearchParams({ how: "call", result: "no-answer", line }).toString();

/** A page of another origin; what it does is asked of it in the browser. */
const elsewhere = createServer((request, response) => {
  response.writeHead(200, { "Content-Type": "text/html" });
  response.end("<!doctype html><title>elsewhere</title><p>Nothing to see");
});
await new Promise((listening) => elsewhere.listen(0, "127.0.0.1", listening));
const there = elsewhere.address().port;

/** Tries of a script: each says "sent", "read <status>" or "stopped". */
async function scripted(page, target) {
  const attempt = { act: `${target}${act}`, see: `${target}/people/${person}`, api: `${target}/api/v1/people` };
  return page.evaluate(async ({ attempt, body }) => {
    const said = async (url, options) => {
      try {
        const answer = await fetch(url, options);
        return answer.type === "opaque" ? "sent" : `read ${answer.status}`;
      } catch {
        return "stopped";
      }
    };
    const form = { "Content-Type": "application/x-www-form-urlencoded" };
    const json = { "Content-Type": "application/json" };
    const posted = { method: "POST", credentials: "include" };
    const image = (url) =>
      new Promise((done) => {
        const shown = new Image();
        shown.onload = () => done("shown");
        shown.onerror = () => done("stopped");
        shown.src = url;
      });
    return {
      "no-cors post": await said(attempt.act, { ...posted, mode: "no-cors", headers: form, body: body("no-cors") }),
      "no-cors text": await said(attempt.act, { ...posted, mode: "no-cors", body: body("text") }),
      "cors post": await said(attempt.act, { ...posted, headers: form, body: body("cors") }),
      "json post": await said(attempt.api, { ...posted, headers: json, body: "{}" }),
      "read": await said(attempt.see, { credentials: "include" }),
      "read api": await said(attempt.api, { credentials: "include" }),
      "beacon": String(navigator.sendBeacon(attempt.act, new URLSearchParams(body("beacon")))),
      "image": await image(attempt.see),
    };
    function body(line) {
      return `how=call&result=no-answer&line=${line}`;
    }
  }, { attempt });
}

/** Posts a form into a window of its own; gives the status of the page that comes. */
async function posted(page, target) {
  await page.evaluate(({ url, values }) => {
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: url });
    for (const [key, value] of Object.entries(values)) {
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name: key, value });
      form.append(input);
    }
    document.body.append(form);
  }, { url: `${target}${act}`, values: { how: "call", result: "no-answer", line: "form" } });
  const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
  const shown = page.waitForEvent("load");
  await page.evaluate(() => document.forms[document.forms.length - 1].submit());
  await shown;
  return (await answered).status();
}

/** Puts a page into a frame; says whether it is shown there. */
async function framed(page, url) {
  await page.evaluate(
    (url) =>
      new Promise((loaded) => {
        const frame = document.createElement("iframe");
        frame.onload = loaded;
        frame.src = url;
        document.body.append(frame);
      }),
    url,
  );
  return page.frames().at(-1).url() === url ? "shown" : "stopped";
}

const args = ["--no-sandbox", `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`];
const browser = await chromium.launch({ executablePath: process.argv[2], args, timeout: 2 * PATIENCE });
try {
  const context = await browser.newContext();
  context.setDefaultTimeout(PATIENCE);
  const own = `http://${node}`;

  // Two windows from the beginning to the end: one is the node's own, the other goes from origin to origin.
  const [home, page] = [await context.newPage(), await context.newPage()];
  await home.goto(`${own}/login`);
  await home.fill("#name", name);
  await home.fill("#password", password);
  await home.click("button");
  await home.waitForURL(`${own}/`);
  const cookie = (await context.cookies()).map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }));

  const tries = {};
  // The first is another site, the second the same site at another port: to that one the browser sends her cookie along.
  for (const origin of [`http://localhost:${there}`, `http://127.0.0.1:${there}`]) {
    await page.goto(origin);
    const made = await scripted(page, own);
    made.frame = await framed(page, `${own}/people/${person}`);
    made["frame of its own"] = await framed(page, `${origin}/`);
    made.form = await posted(page, own);
    tries[origin.includes("localhost") ? "another site" : "another port"] = made;
  }

  // A page of a name that was rebound is of the node's own origin, as far as the browser knows.
  const rebound = `http://${REBOUND}:${port}`;
  const came = await page.goto(`${rebound}/people/${person}`);
  tries.rebound = { status: came.status(), body: await came.text(), ...(await scripted(page, rebound)) };

  // The same form from the node's own page: without this the test could not fail.
  await home.goto(`${own}/people/${person}`);
  const form = home.locator(`form[action="${act}"]`);
  await form.locator("[name=result]").selectOption("no-answer");
  await form.locator("[name=line]").fill("her own");
  const answered = home.waitForResponse((answer) => answer.request().method() === "POST");
  await form.locator("button").click();
  const ownStatus = (await answered).status();
  await home.waitForLoadState();
  // And the same script, which is stopped elsewhere.
  const ownScript = await home.evaluate(async (url) => (await fetch(url)).status, `${own}/api/v1/people`);

  console.log(JSON.stringify({ cookie, tries, own: { form: ownStatus, script: ownScript } }));
} finally {
  await browser.close();
  elsewhere.close();
}
