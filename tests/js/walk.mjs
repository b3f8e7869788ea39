// Every page of both dashboards, at one width: looked at in light and dark, with a picture of each.
//
// Invariant: pages are named by their addresses; what stands on them was made before. Writes nothing at a node.

/** The pages of a chapter, as its administrator sees them. `people` are the ids of people in various states. */
export const chapterPages = ({ mary, differs, closed, code, action, sheet }) => ({
  "today": "/?whose=chapter",
  "today-mine": "/?whose=mine",
  "people": "/people",
  "people-filtered": `/people?query=${code}&rung=contact`,
  "people-nobody": "/people?query=nobodyatall",
  "person": `/people/${mary}`,
  "person-that-differs": `/people/${differs}`,
  "person-not-to-contact": `/people/${closed}`,
  "person-shared": `/people/${mary}/shared`,
  "person-authors": `/people/${mary}/authors`,
  "move": `/people/${mary}/move`,
  "one-to-one": `/people/${mary}/one-to-one`,
  "organisers": "/organisers",
  "ladder": "/ladder",
  "ladder-of-a-tag": "/ladder?tag=nobody",
  "asks": "/asks",
  "one-to-ones": "/one-to-ones?all=1",
  "actions": "/actions",
  "action": `/actions/${action}`,
  "action-found": `/actions/${action}?query=ma`,
  "figures": "/figures",
  "case": "/case?title=Rents&draw=1",
  "case-kept": `/case/${sheet}`,
  "leaders": "/leaders",
  "stepping-down": "/stepping-down?login=lee",
  "audit": "/audit",
  "account": "/account",
  "keys": "/keys",
  "no-such-page": "/nowhere",
});

/** The pages of a hub, as its administrator sees them. */
export const hubPages = ({ mary }) => ({
  "hub-network": "/",
  "hub-chapters": "/chapters",
  "hub-chapter": "/chapters/la",
  "hub-people": "/people",
  "hub-person": `/people/${mary}`,
  "hub-unplaced": "/unplaced",
  "hub-organisers": "/organisers",
  "hub-audit": "/audit",
  "hub-account": "/account",
  "hub-signup": "/signup",
  "hub-find": "/find?postal_code=90012",
});

/** Opens each page and looks at it. */
export async function walk(page, base, pages, eyes) {
  for (const [name, path] of Object.entries(pages)) {
    await page.goto(`${base}${path}`);
    await eyes.portray(page, name);
  }
}
