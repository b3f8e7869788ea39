// Keys, and pages that follow what happens. Everything works without this file.

const typing = () => document.activeElement?.matches("input:not([type=checkbox]), textarea, select") ?? false;

// `/` goes to search; `g` and a letter to a page.
let go = false;
document.addEventListener("keydown", (event) => {
  if (typing() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (go) {
    go = false;
    document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
  } else if (event.key === "g") {
    go = true;
  } else if (event.key === "?") {
    document.querySelector("[data-keys]")?.click();
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

// `?`, or the link at the foot of the rail, shows the keys over the page. Where they can't be fetched, their page is opened.
document.querySelector("[data-keys]")?.addEventListener("click", async (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const address = event.target.href;
  const answer = await fetch(address, { headers: { accept: "text/html" } }).catch(() => null);
  const page = answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  const keys = page?.getElementById("keys-shown");
  if (!keys) {
    location.href = address;
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const dialog = document.createElement("dialog");
  const close = document.createElement("button");
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.setAttribute("aria-labelledby", "keys-title");
  dialog.append(...keys.childNodes, close);
  document.body.append(dialog);
  dialog.showModal();
});

// What was just done is said once: an address that is kept or sent on does not say it again.
const here = new URL(location.href);
if (["did", "held"].some((name) => here.searchParams.has(name))) {
  here.searchParams.delete("did");
  here.searchParams.delete("held");
  history.replaceState(null, "", here);
}

// A number that is dialled is held first. If somebody else has it, the page says who, and nothing is dialled.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.dial) return;
  event.preventDefault();
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const held = new URL(answer.url).searchParams.has("held");
  if (answer.ok) location.href = held ? answer.url : form.dataset.dial;
  else form.submit();
});

// One box ticks all of a name. Without this file it is not shown.
document.documentElement.classList.add("scripted");
document.addEventListener("change", (event) => {
  const name = event.target.dataset?.ticks;
  if (!name) return;
  for (const box of document.querySelectorAll(`input[type="checkbox"][name="${CSS.escape(name)}"]`)) {
    box.checked = event.target.checked;
  }
});

// Regions marked `data-live` are fetched again when something moved, unless somebody is writing or choosing in them.
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
      const writing =
        (region.contains(document.activeElement) && typing()) || region.querySelector("details[open], input[type=checkbox]:checked");
      if (next && !writing && next.innerHTML !== region.innerHTML) {
        const at = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        region.innerHTML = next.innerHTML;
        region.className = next.className;
        // Whoever goes by keys stays where she is.
        if (at) [...region.querySelectorAll("a")].find((link) => link.getAttribute("href") === at)?.focus();
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

// A search field marked `data-find` shows what its address answers while somebody types; its form does the same without this.
for (const input of document.querySelectorAll("input[data-find]")) {
  const shown = document.getElementById("found");
  let asked;
  input.addEventListener("input", async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const address = `${input.dataset.find}?query=${encodeURIComponent(input.value)}`;
      const answer = await fetch(address, { signal: asked.signal });
      if (answer.ok && !answer.redirected) shown.innerHTML = await answer.text();
    } catch {
      // Somebody typed on, or the node is away: the button still asks.
    }
  });
}
// j, k and arrows go through the rows of a list, Enter opens one (it is a link), x chooses it.
document.addEventListener("keydown", (event) => {
  const search = document.activeElement?.matches("[data-search]") && event.key === "ArrowDown";
  if ((typing() && !search) || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = [...document.querySelectorAll("[data-rows] tbody tr")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  const arrow = event.key.startsWith("Arrow");
  if (step && rows.length > 0 && (!arrow || at >= 0 || search)) {
    const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
    next.querySelector("th a").focus();
    event.preventDefault();
  } else if (event.key === "x" && at >= 0) {
    const box = rows[at].querySelector("input[type=checkbox]");
    if (box) box.checked = !box.checked;
  }
});

// A search form marked `data-instant` shows what it finds while somebody types: the same page, of which the list is taken.
const instant = document.querySelector("form[data-instant]");
if (instant) {
  let last, waits;
  const find = async () => {
    const said = [...new FormData(instant)].filter(([, value]) => value !== "");
    const address = `${instant.action}?${new URLSearchParams(said)}`;
    last?.abort();
    last = new AbortController();
    try {
      const answer = await fetch(address, { headers: { accept: "text/html" }, signal: last.signal });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["people", "counted"]) {
        document.getElementById(id).innerHTML = fresh.getElementById(id).innerHTML;
      }
      history.replaceState(null, "", address);
    } catch {
      // Typed on, or no answer: the button still finds.
    }
  };
  instant.querySelector("[data-search]").addEventListener("input", () => {
    clearTimeout(waits);
    waits = setTimeout(find, 80);
  });
}

// What a `details` with `data-from` holds is fetched when it is opened first: a part of another page.
for (const more of document.querySelectorAll("details[data-from]")) {
  more.addEventListener("toggle", async () => {
    const [address, part] = more.dataset.from.split("#");
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part);
    if (fresh) more.querySelector(":scope > :not(summary)").replaceWith(fresh);
  }, { once: true });
}
