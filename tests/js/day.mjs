// An organiser's day in a browser, at both widths, with and without JavaScript, and every page looked at: `node day.mjs
// CHROMIUM`. The first line of standard input is {hub, chapter, logins, modes, pages, screenshots} as JSON. A line that it
// prints may ask for something (`{"please": "stop the hub"}`): then it goes on when a line is answered. The last line is
// what came of it.
//
// Invariant: nothing is done that a person could not do by mouse or keys. What came of it at the nodes is asked by commands,
// elsewhere.

import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

import { awayAndBack, day } from "./acts.mjs";
import { Eyes } from "./look.mjs";
import { chapterPages, hubPages, walk } from "./walk.mjs";

/** How long anything may take, in ms. */
const PATIENCE = 30_000;
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
/** A window's height: a laptop's, a telephone's. */
const HEIGHT = { 1280: 900, 360: 740 };

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const given = JSON.parse((await lines.next()).value);
const [hub, chapter] = [`http://${given.hub}`, `http://${given.chapter}`];
const eyes = new Eyes(given.screenshots);

async function please(what) {
  console.log(JSON.stringify({ please: what }));
  await lines.next();
}

/** A window of its own, which holds nothing of any other. */
async function opened(browser, width, script) {
  const viewport = { width, height: HEIGHT[width] };
  const context = await browser.newContext({ viewport, javaScriptEnabled: script, locale: "en-US" });
  context.setDefaultTimeout(PATIENCE);
  return context.newPage();
}

/** Does something in a window; where that stops, there is a picture of it. */
async function within(page, act) {
  try {
    return await act(page);
  } catch (error) {
    await page.screenshot({ path: `${given.screenshots}/where-it-stopped.png`, fullPage: true });
    throw error;
  }
}

/** Logs in by the form. */
async function enter(page, base, { name, password }) {
  await page.goto(`${base}/login`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(`${base}/`);
}

/** How long each part took, in ms. */
const took = {};
async function timed(name, act) {
  const began = Date.now();
  const came = await act();
  took[name] = Date.now() - began;
  return came;
}

/** The days at one width, one after the other. The windows stay open, for what all of them do at the same time. */
async function days({ browser, width }) {
  const begun = [];
  for (const mode of given.modes.filter((mode) => mode.width === width)) {
    const page = await opened(browser, width, mode.script);
    const told = { ...mode, chapter, look: (name) => eyes.look(page, `${name}, ${mode.name}`) };
    const act = () => enter(page, chapter, given.logins.ana).then(() => day(page, told));
    begun.push({ page, told, did: await timed(mode.name, () => within(page, act)) });
  }
  return begun;
}

/** Every page at one width. */
async function pages({ browser, width }, action) {
  const seen = { ...given.pages, action };
  const doors = [
    [chapter, given.logins.ada, chapterPages(seen)],
    [hub, given.logins.nat, hubPages(seen)],
  ];
  for (const [base, login, addresses] of doors) {
    const page = await opened(browser, width, true);
    await within(page, async () => {
      await page.goto(`${base}/login`);
      await eyes.portray(page, base === hub ? "hub-login" : "login");
      await enter(page, base, login);
      await walk(page, base, addresses, eyes);
    });
    await page.context().close();
  }
}

const launched = (width) =>
  chromium
    .launch({ executablePath: process.argv[2], args: ARGUMENTS, timeout: PATIENCE })
    .then((browser) => ({ browser, width }));
// One browser a width: each holds few windows, and both work at the same time.
const desks = await Promise.all([1280, 360].map(launched));
try {
  const blank = await opened(desks[0].browser, 360, true);
  const tried = await eyes.check(blank);
  await blank.context().close();

  const done = (await Promise.all(desks.map(days))).flat();
  await timed("away and back", async () => {
    const each = (act) => Promise.all(done.map((one) => within(one.page, () => act(one))));
    await each(async (one) => (one.away = await awayAndBack(one.page, one.told)));
    await please("stop the hub");
    await each(async (one) => (one.did.away = await one.away.work()));
    await please("start the hub");
    await each(async (one) => (one.did.back = await one.away.again()));
    await each((one) => one.page.context().close());
  });
  await timed("every page", () => Promise.all(desks.map((desk) => pages(desk, done[0].did.action))));
  const did = Object.fromEntries(done.map((one) => [one.told.name, one.did]));
  console.log(JSON.stringify({ tried, did, looked: eyes.looked, wrong: eyes.wrong, took }));
} finally {
  await Promise.all(desks.map(({ browser }) => browser.close()));
}
process.exit(0);
