// A button that puts what the kernel answers on the clipboard: text, a table and a picture, whatever the target takes.
async function put({ text, html, png }) {
  const items = { "text/plain": new Blob([text], { type: "text/plain" }) };
  if (html) items["text/html"] = new Blob([html], { type: "text/html" });
  if (png) {
    const bytes = Uint8Array.from(atob(png), (sign) => sign.charCodeAt(0));
    items["image/png"] = new Blob([bytes], { type: "image/png" });
  }
  await navigator.clipboard.write([new ClipboardItem(items)]);
}

function render({ model, el }) {
  const button = document.createElement("button");
  const said = document.createElement("span");
  const open = document.createElement("textarea");
  button.className = "jupyter-button widget-button fbkit-copy";
  button.textContent = model.get("label");
  button.title = model.get("tip");
  said.setAttribute("role", "status");
  open.hidden = true;
  open.readOnly = true;
  open.rows = 8;
  open.setAttribute("aria-label", `${model.get("label")}: the text`);
  el.classList.add("fbkit-copying");
  el.append(button, said, open);

  button.addEventListener("click", () => {
    said.textContent = "…";
    model.set("asked", model.get("asked") + 1);
    model.save_changes();
  });

  async function answered() {
    const answer = model.get("answer");
    if (!answer?.text) return;
    if (answer.trouble) {
      said.textContent = answer.trouble;
      return;
    }
    open.hidden = true;
    try {
      await put(answer);
      said.textContent = "copied";
    } catch {
      // A page that is not trusted with the clipboard still shows the text, ready to be copied by hand.
      open.hidden = false;
      open.value = answer.text;
      open.select();
      said.textContent = "press Ctrl+C";
    }
    el.dataset.answered = String(answer.seq);
  }

  model.on("change:answer", answered);
  return () => model.off("change:answer", answered);
}

export default { render };
