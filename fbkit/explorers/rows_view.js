// A table of rows and the receipt of the chosen one. Rows come as messages and are never part of a widget's state, so
// that no saved notebook can hold them. Cells are text, never markup; the receipt is made and escaped in Python.
function element(name, attributes, text) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function table(content, choose) {
  const made = element("table", { class: "fbkit-rows" });
  made.append(element("caption", {}, content.caption));
  const head = element("tr");
  for (const name of content.columns) head.append(element("th", { scope: "col" }, name));
  const body = element("tbody");
  content.rows.forEach((cells, place) => {
    const line = element("tr", { "data-place": place });
    cells.forEach((cell, column) => {
      const holder = element(column ? "td" : "th", column ? {} : { scope: "row" });
      if (column) holder.textContent = cell;
      else {
        const open = element("button", { type: "button", tabindex: place ? -1 : 0, "aria-expanded": "false" }, cell);
        open.title = "open the receipt";
        open.addEventListener("click", () => choose(place));
        holder.append(open);
      }
      line.append(holder);
    });
    line.addEventListener("click", (event) => { if (event.target.tagName !== "BUTTON") choose(place); });
    body.append(line);
  });
  const top = element("thead");
  top.append(head);
  made.append(top, body);
  // Arrow keys walk the rows, Home and End jump; only one button of the list is a stop of the Tab key.
  made.addEventListener("keydown", (event) => {
    const buttons = [...made.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || next === undefined || !buttons[next]) return;
    event.preventDefault();
    event.stopPropagation();
    buttons[at].tabIndex = -1;
    buttons[next].tabIndex = 0;
    buttons[next].focus();
  });
  return made;
}

function render({ model, el }) {
  el.classList.add("fbkit-rows-view");
  const search = element("label", { class: "fbkit-search" }, "id contains ");
  const box = element("input", { type: "search", size: 22, "aria-label": "part of a prediction's id" });
  search.append(box);
  const list = element("div", { class: "fbkit-rows-list" });
  const receipt = element("section", { class: "fbkit-rows-receipt", "aria-live": "polite", "aria-label": "receipt" });
  el.append(search, list, receipt);

  const choose = (place) => model.send({ kind: "choose", place });
  let timer = null;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => model.send({ kind: "search", text: box.value.slice(0, 200) }), 250);
  });
  for (const kind of ["keydown", "keyup"]) box.addEventListener(kind, (event) => event.stopPropagation());

  function mark(place) {
    for (const line of list.querySelectorAll("tr[data-place]")) {
      const mine = Number(line.dataset.place) === place;
      line.classList.toggle("fbkit-chosen", mine);
      line.querySelector("button").setAttribute("aria-expanded", String(mine));
    }
  }

  function heard(content) {
    if (content.kind === "rows") {
      search.hidden = !content.searchable;
      list.replaceChildren(content.rows.length ? table(content, choose) : element("p", {}, content.caption));
      receipt.replaceChildren();
    }
    if (content.kind === "receipt") {
      receipt.innerHTML = content.html;
      mark(content.place);
    }
  }

  model.on("msg:custom", heard);
  model.send({ kind: "ready" });
  return () => model.off("msg:custom", heard);
}

export default { render };
