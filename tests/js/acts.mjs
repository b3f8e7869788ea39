// What an organiser does in a day, by the controls of the pages. The same acts with JavaScript and without: where a page
// does more with it, `script` says which of the two is waited for.
//
// Invariant: every step waits for what it shows, never for time. Knows nothing of axe, widths or of the other days.

const TODAY = new Date().toISOString().slice(0, 10);
/** How many of the new people are given out. */
const GIVEN_OUT = 40;
/** How many came to the action: the last of them is new. */
const CAME = 12;

/** How long the link may take to be noticed as away or back, in ms. */
const LINK_MS = 30_000;

/** The whole day; gives the ids of what was made. */
export async function day(page, mode) {
  await find(page, mode);
  await attempts(page, mode);
  await oneToOne(page, mode);
  await moveUp(page, mode);
  await settle(page, mode);
  await giveOut(page, mode);
  const action = await hold(page, mode);
  const keys = mode.script ? await byKeys(page, mode) : null;
  return { action, keys };
}

/** Waits until the page's own script has run, where there is one: keys do nothing before. */
async function ready(page, script) {
  if (script) await page.locator("html.scripted").waitFor();
}

/** Presses a button that posts, and waits for the page that comes. */
async function press(page, button) {
  const shown = page.waitForEvent("load");
  await button.click();
  await shown;
}

/** Goes to a page of the rail, as a person would: on a telephone some of them stand behind "More". */
async function go(page, label) {
  const rail = page.getByRole("navigation", { name: "Pages" });
  const link = rail.getByRole("link", { name: label, exact: true });
  const more = rail.getByText("More", { exact: true });
  if ((await more.isVisible()) && !(await link.isVisible())) await more.click();
  await link.click();
  await page.getByRole("heading", { level: 1, name: label }).waitFor();
}

async function find(page, { code, mary, script, look }) {
  await look("today");
  await go(page, "People");
  const search = page.getByRole("searchbox");
  const words = `mary brow ${code}`;
  await ready(page, script);
  if (script) {
    await page.keyboard.press("/");
    await page.keyboard.type(words);
  } else {
    await search.fill(words);
    await page.getByRole("button", { name: "Find" }).click();
  }
  await page.locator("#people tbody tr").nth(1).waitFor({ state: "detached" });
  await look("people found");
  await page.locator(`#people a[href="/people/${mary}"]`).click();
  await page.getByRole("heading", { level: 1, name: "Mary Brown" }).waitFor();
  await look("person");
}

/** An article of today's page about somebody. */
function article(page, list, id) {
  return page.locator(`#${list} article`).filter({ has: page.locator(`a[href="/people/${id}"]`) });
}

async function attempts(page, { chapter, mary, look }) {
  await page.goto(`${chapter}/?whose=chapter`);
  await press(page, article(page, "new", mary).getByRole("button", { name: "I'll call" }));
  await page.getByRole("status").filter({ hasText: "Looked after by ana: Mary Brown" }).waitFor();
  await page.goto(`${chapter}/?whose=mine`);
  const first = article(page, "new", mary);
  await first.getByText("What came of it").click();
  await first.getByLabel("Next try on").fill(TODAY);
  await press(page, first.getByRole("button", { name: "No answer" }));
  const second = article(page, "follow-ups", mary);
  await second.waitFor();
  await look("today after an attempt");
  await second.getByText("What came of it").click();
  await second.getByLabel("A line on what was said").fill("wants to speak at the rent meeting");
  await press(page, second.getByRole("button", { name: "Talked" }));
  await second.waitFor({ state: "detached" });
}

async function oneToOne(page, { chapter, mary, code, look }) {
  await page.goto(`${chapter}/people/${mary}`);
  await page.getByText("Log a one-to-one", { exact: true }).click();
  await page.getByRole("link", { name: "With an ask from the list" }).click();
  await page.getByLabel("Minutes").fill("45");
  await page.getByLabel("Story", { exact: true }).fill(`came here alone at nineteen, canary ${code}`);
  await page.getByLabel("What matters to her").fill("the heating in her house");
  await page.getByLabel("In your own words").fill("Bring two neighbours on Thursday");
  await page.getByLabel("She said yes").check();
  await look("one-to-one");
  await press(page, page.getByRole("button", { name: "Log the one-to-one" }));
  await page.locator("#history").getByText("One-to-one").first().waitFor();
  await look("person after a one-to-one");
}

async function moveUp(page, { mary, script, look }) {
  await go(page, "Ladder");
  await look("ladder");
  await page.locator(`a[data-move][href^="/people/${mary}/move"]`).click();
  const form = page.locator(`form[action="/people/${mary}/move"]`);
  await form.waitFor();
  await look("move");
  if (script) await page.locator("dialog[open]").waitFor();
  await form.getByLabel("One-to-one").check();
  await press(page, form.getByRole("button", { name: "Move to" }));
  const there = page.locator('[data-rung="conversation"]').locator(`a[href="/people/${mary}"]`);
  await there.waitFor();
}

async function settle(page, { chapter, jo, look }) {
  await page.goto(`${chapter}/people/${jo}`);
  const conflict = page.locator("section.conflict");
  await conflict.waitFor();
  await look("conflict");
  await press(page, conflict.locator("form").filter({ hasText: "Parks" }).getByRole("button", { name: "Keep this one" }));
  await conflict.waitFor({ state: "detached" });
  await page.getByRole("heading", { level: 1, name: "Jo Parks" }).waitFor();
}

/** Chooses the new people on a list by keys: those of the page's own script, or those that every browser has. */
async function choose(page, script, known) {
  await ready(page, script);
  const boxes = page.locator('#people input[name="person"]');
  const ids = await boxes.evaluateAll((all) => all.map((box) => box.value));
  const wanted = ids.filter((id) => !known.includes(id)).slice(0, GIVEN_OUT);
  if (!script) await boxes.first().focus();
  for (const id of ids) {
    if (script) await page.keyboard.press("j");
    if (wanted.includes(id)) await page.keyboard.press(script ? "x" : "Space");
    // To her name, and on to the next one's box.
    if (!script) for (const key of ["Tab", "Tab"]) await page.keyboard.press(key);
  }
}

async function giveOut(page, { chapter, code, mary, jo, rosa, script, look }) {
  await page.goto(`${chapter}/people?query=${code}`);
  await choose(page, script, [mary, jo, rosa]);
  await page.getByText("With those I choose").click();
  const group = page.getByRole("group", { name: "Give out to" });
  for (const name of ["ana", "lee"]) await group.locator(`input[name="who"][value="${name}"]`).check();
  await look("people chosen");
  await press(page, group.getByRole("button", { name: "Give them out" }));
  await page.getByRole("status").filter({ hasText: `${GIVEN_OUT}` }).waitFor();
  await look("people given out");
}

async function hold(page, { name, code, script, look }) {
  await go(page, "Actions");
  const add = page.getByText("Add an action", { exact: true });
  const title = page.getByLabel("What it is called");
  if (!(await title.isVisible())) await add.click();
  await title.fill(`Rent meeting, ${name}`);
  await page.getByLabel("Day", { exact: true }).first().fill(TODAY);
  await page.getByLabel("Place", { exact: true }).first().fill("Union Hall");
  await press(page, page.getByRole("button", { name: "Add the action" }));
  await page.getByRole("heading", { level: 1, name: "Rent meeting" }).waitFor();
  const search = page.getByRole("searchbox");
  const found = page.locator("#found");
  for (let nth = 3; nth < CAME + 3; nth += 1) {
    const isNew = nth === CAME + 2;
    const words = isNew ? `Zelda ${code}x` : `n${code}${String(nth).padStart(2, "0")}`;
    await ready(page, script);
    await search.fill(words);
    if (!script) await page.getByRole("button", { name: "Find" }).click();
    if (isNew) {
      await found.getByText("Nobody fits").waitFor();
      await look("action, nobody found");
      await found.getByLabel("E-mail").fill(`z${code}@example.org`);
      await press(page, found.getByRole("button", { name: "Add her, she came" }));
    } else {
      await found.locator("li").nth(1).waitFor({ state: "detached" });
      await press(page, found.getByRole("button", { name: "Came" }));
    }
    await page.locator("#people tbody tr").nth(nth - 3).waitFor();
  }
  await look("action");
  return page.url().split("/actions/")[1].split(/[?#]/)[0];
}

/** `?` shows the keys, `g` and a letter goes to a page; gives how many keys are listed. */
async function byKeys(page, { chapter, script, look }) {
  await page.goto(`${chapter}/figures`);
  await ready(page, script);
  await page.keyboard.press("?");
  const dialog = page.getByRole("dialog", { name: "Keys" });
  await dialog.waitFor();
  await look("keys");
  const listed = await dialog.locator("dt").count();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await page.keyboard.press("g");
  await page.keyboard.press("k");
  await page.getByRole("heading", { level: 1, name: "Asks" }).waitFor();
  return listed;
}

/** Waits until the state of the link is so; without JavaScript it is asked for again and again. */
async function linked(page, script, words) {
  const line = page.locator("#link");
  const end = Date.now() + LINK_MS;
  while (!script && Date.now() < end && !words.test(await line.innerText())) await page.reload();
  await line.filter({ hasText: words }).waitFor();
  return line.innerText();
}

/** Somebody is called while the hub is away, and the page says how it stands: in step, away, and in step again. */
export async function awayAndBack(page, { chapter, rosa, script, look }) {
  await page.goto(`${chapter}/people/${rosa}`);
  await linked(page, script, /^In step/);
  const work = async () => {
    await linked(page, script, /^Offline/);
    await page.getByLabel("What came of it").selectOption("left-message");
    await page.getByLabel("A line on what was said").fill("said while nobody was there");
    await press(page, page.getByRole("button", { name: "Log the attempt" }));
    await page.locator("#history").getByText("said while nobody was there").waitFor();
    const away = await linked(page, script, /^Offline.* waiting/);
    await look("person while offline");
    return away;
  };
  return { work, again: () => linked(page, script, /^In step/) };
}
