// The ladder: what a move asks for in a dialog, and cards that are moved with the mouse or the arrow keys. Without this
// file each card has a link to a page that asks the same.

const ladder = document.querySelector("#ladder[data-moves]");
const dialog = document.getElementById("dialog");
const said = document.getElementById("said");
const columns = ladder ? [...ladder.querySelectorAll(".column")] : [];

/** Shows what a move asks for. Where that can't be fetched, the page itself is opened. */
async function ask(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } }).catch(() => null);
  const page = answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  const asked = page?.getElementById("move");
  if (!asked) {
    location.href = address;
    return;
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet";
  close.textContent = "Cancel";
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(...asked.childNodes, close);
  if (dialog.open) dialog.querySelector("a, input, textarea")?.focus();
  else dialog.showModal();
}

/** The address of a card's link, for another rung. */
function address(card, column) {
  const link = card.querySelector("a[data-move]");
  if (!link) return null;
  const wanted = new URL(link.href);
  if (column) wanted.searchParams.set("to", column.dataset.rung);
  return wanted.href;
}

function mark(column) {
  for (const each of columns) each.classList.toggle("chosen", each === column);
}

if (ladder && dialog) {
  document.getElementById("keys").hidden = false;

  // Links to other rungs stand in the dialog, too.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-move]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    ask(link.href);
  });

  for (const card of ladder.querySelectorAll("[data-card]")) {
    card.tabIndex = 0;
    card.draggable = true;
  }

  let dragged = null;
  ladder.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.("[data-card]") ?? null;
    if (dragged) event.dataTransfer.effectAllowed = "move";
  });
  ladder.addEventListener("dragend", () => {
    dragged = null;
    mark(null);
  });
  ladder.addEventListener("dragover", (event) => {
    const column = event.target.closest(".column");
    if (!dragged || !column || column.contains(dragged)) return mark(null);
    event.preventDefault();
    mark(column);
  });
  ladder.addEventListener("drop", (event) => {
    const column = event.target.closest(".column");
    if (!dragged || !column || column.contains(dragged)) return;
    event.preventDefault();
    const wanted = address(dragged, column);
    if (wanted) ask(wanted);
  });

  // The rung that the arrow keys have chosen for the card that has the focus.
  let chosen = null;
  const forget = () => {
    chosen = null;
    mark(null);
  };
  ladder.addEventListener("focusout", forget);
  ladder.addEventListener("keydown", (event) => {
    const card = event.target;
    if (!card.matches("[data-card]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const here = columns.indexOf(card.closest(".column"));
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const other = { ArrowUp: card.previousElementSibling, ArrowDown: card.nextElementSibling }[event.key];
    if (step) {
      const at = (chosen ?? here) + step;
      if (at < 0 || at >= columns.length) return;
      event.preventDefault();
      chosen = at === here ? null : at;
      mark(chosen === null ? null : columns[at]);
      const label = columns[at].dataset.label;
      said.textContent = chosen === null ? `${card.dataset.card} stays` : `${card.dataset.card}: Enter moves to ${label}`;
    } else if (other) {
      event.preventDefault();
      other.focus();
    } else if (event.key === "Escape") {
      forget();
    } else if (event.key === "Enter") {
      const wanted = address(card, chosen === null ? null : columns[chosen]);
      if (wanted) {
        event.preventDefault();
        ask(wanted);
      }
    }
  });
}
