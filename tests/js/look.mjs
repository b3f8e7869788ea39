// Looks at pages as a browser draws them: whether axe-core finds a violation of WCAG 2.2 AA, whether a page is wider than
// its window, and a picture of it for a person.
//
// Invariant: what is wrong is collected and not thrown, so that one run names all of it. Knows nothing of what a page is
// for.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** The rules of the level, and of them those on colours. */
const ALL = { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] };
const COLOURS = { type: "rule", values: ["color-contrast", "link-in-text-block"] };
/** The longest part of a page that a picture shows, in px: more than that is more of the same. */
const PICTURE_MAX = 2400;

/** A page that looks right and breaks three rules: what is found on it shows that axe looks at all. */
const WRONG = `<html lang="en"><title>wrong</title><style>p { color: #bbbbbb; background: #ffffff; width: 5000px }</style>
  <p>Grey on white</p><img src="data:,">`;

export class Eyes {
  /** What was looked at, and what was wrong with it: sentences. */
  looked = 0;
  wrong = [];

  /** Screenshots go into a folder. */
  constructor(folder) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Looks at a page as it stands, by all rules or by some. */
  async look(page, name, rules = ALL) {
    this.looked += 1;
    for (const fault of await faults(page, rules)) this.wrong.push(`${name}: ${fault}`);
  }

  /** Looks at a page in both schemes, with everything shut and with everything open, and takes its pictures. */
  async portray(page, name) {
    const { width, height } = page.viewportSize();
    // The window is made as long as the page, so that what is fixed to it is where it belongs.
    const long = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width, height: Math.max(height, Math.min(long, PICTURE_MAX)) });
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.screenshot({ path: `${this.folder}/${name}-${width}-${scheme}.png` });
    }
    await page.setViewportSize({ width, height });
    await page.evaluate(() => document.querySelectorAll("main details").forEach((more) => (more.open = true)));
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      // A scheme changes colours and nothing else.
      await this.look(page, `${name}, ${width} px, ${scheme}`, scheme === "dark" ? COLOURS : ALL);
    }
  }

  /** What is found on a page that is wrong on purpose. */
  async check(page) {
    await page.setContent(WRONG);
    return faults(page);
  }
}

async function faults(page, runOnly = ALL) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  return page.evaluate(async (runOnly) => {
    // Where a page's scripts are off its timers never come, and axe waits for one.
    const later = window.setTimeout;
    window.setTimeout = (act) => void Promise.resolve().then(act);
    const { violations } = await window.axe.run(document, { runOnly, resultTypes: ["violations"] });
    window.setTimeout = later;
    const said = violations.flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id} at ${node.target.join(" ")}: ${node.failureSummary.replace(/\s+/g, " ")}`),
    );
    const wide = document.scrollingElement.scrollWidth;
    if (wide > innerWidth) {
      const parts = [...document.querySelectorAll("main *, header *")];
      const out = parts.filter((part) => part.getBoundingClientRect().right > innerWidth);
      const which = out.slice(0, 3).map((part) => `${part.localName}.${part.className}`);
      said.push(`it is ${wide} px wide in a window of ${innerWidth} px: ${which.join(", ")}`);
    }
    return said;
  }, runOnly);
}
