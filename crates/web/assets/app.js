// Keys, and pages that follow what happens. Everything works without this file.

const typing = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");

// `/` goes to search; `g` and a letter to a page.
let go = false;
document.addEventListener("keydown", (event) => {
  if (typing() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (go) {
    go = false;
    document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
  } else if (event.key === "g") {
    go = true;
  } else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (search) {
      event.preventDefault();
      search.focus();
    } else {
      location.href = "/people";
    }
  }
});

// Regions marked `data-live` are fetched again when something moved, unless somebody is writing in them.
const regions = [...document.querySelectorAll("[data-live][id]")];
let busy = false;
async function follow() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of regions) {
      const next = fresh.getElementById(region.id);
      const writing = region.contains(document.activeElement) && typing();
      if (next && !writing && next.innerHTML !== region.innerHTML) {
        region.innerHTML = next.innerHTML;
        region.className = next.className;
      }
    }
  } finally {
    busy = false;
  }
}
if (regions.length > 0 && "EventSource" in window) {
  const live = new EventSource("/live");
  live.addEventListener("moved", follow);
  // What moved while the line was down was said to nobody.
  let down = false;
  live.addEventListener("error", () => (down = true));
  live.addEventListener("open", () => {
    if (down) follow();
    down = false;
  });
  document.addEventListener("visibilitychange", follow);
}
