// A thin view: it owns a canvas and nothing else. Drawing code comes once per page from the shared runtime.
// "@SLOT@" is the page-wide name under which the runtime presents itself.
const slot = (globalThis[Symbol.for("@SLOT@")] ??= {});
slot.ready ??= new Promise((resolve) => { slot.resolve = resolve; });

const refuse = () => Promise.reject(new Error("charts load nothing from the network"));
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };
// The small print has several lines, the others have one.
const text = (texts, name) => (name === "smallprint" ? (texts[name] ?? " ").split("\n") : (texts[name] ?? ""));
const LIVE = ["headline", "smallprint", "axis"];

// Title texts become signals, so that they follow the rows without a new chart. Values are text, never expressions.
function withLiveTexts(vega, texts) {
  vega.signals = (vega.signals ?? []).concat(LIVE.map((name) => ({ name: `fbkit_${name}`, value: text(texts, name) })));
  if (vega.title) {
    vega.title.text = { signal: "fbkit_headline" };
    vega.title.subtitle = { signal: "fbkit_smallprint" };
  }
  liveAxes(vega);
  calmBrushes(vega);
  return vega;
}

// When an axis changes, Vega-Lite draws the brush anew where its days now are, also if there is no brush: it would fail.
function calmBrushes(group) {
  for (const signal of group.signals ?? []) {
    for (const rule of signal.on ?? []) {
      if (!rule.events?.signal?.endsWith?.("_scale_trigger")) continue;
      const days = /, (\w+)\[0\]\)/.exec(rule.update)?.[1];
      if (days) rule.update = `isArray(${days}) ? ${rule.update} : ${signal.name}`;
    }
  }
  for (const mark of group.marks ?? []) calmBrushes(mark);
}

function liveAxes(group) {
  for (const axis of group.axes ?? []) if (axis.title === "@axis") axis.title = { signal: "fbkit_axis" };
  for (const mark of group.marks ?? []) liveAxes(mark);
}

// What a person does in the picture goes back as one small message: a number, never a text and never a row.
function listen(view, send) {
  view.addEventListener("click", (_, item) => {
    const pick = item?.datum?.pick ?? item?.datum?.datum?.pick;
    if (Number.isInteger(pick)) send("pick", pick);
  });
  const signals = new Set(Object.keys(view.getState().signals ?? {}));
  if (signals.has("fbkit_days")) {
    view.addSignalListener("fbkit_days", (_, value) => {
      const ends = Object.values(value ?? {})[0];
      send("days", Array.isArray(ends) && ends.length === 2 ? ends.map(Number) : null);
    });
  }
  if (signals.has("fbkit_threshold")) {
    view.addSignalListener("fbkit_threshold", (_, value) => {
      const at = typeof value === "number" ? value : Number(Object.values(value ?? {})[0]?.[0]);
      if (Number.isFinite(at)) send("threshold", at);
    });
  }
}

// At most one message of a kind every WAIT milliseconds, and always the last one.
const WAIT = 40;
function sender(model) {
  const last = new Map();
  let seq = 0;
  const post = (kind) => {
    const held = last.get(kind);
    held.timer = null;
    if (!held.fresh) return;
    held.fresh = false;
    seq += 1;
    model.set("picked", { seq, kind, value: held.value });
    model.save_changes();
    held.timer = setTimeout(() => post(kind), WAIT);
  };
  return (kind, value) => {
    const held = last.get(kind) ?? { timer: null };
    last.set(kind, held);
    held.value = value;
    held.fresh = true;
    if (held.timer === null) post(kind);
  };
}

// What the controls lack for those who use the keyboard or a screen reader. The handle of a slider has no name of its
// own, and of a choice it tells the number: it gets what stands beside it. JupyterLab takes Enter and the arrows from
// every control that is no text field, unless the control says that it needs them.
function makeReachable(within) {
  const controls = within?.querySelectorAll("select, button, input[type=checkbox], .noUi-handle") ?? [];
  for (const control of controls) control.dataset.lmSuppressShortcuts = "true";
  for (const slider of within?.querySelectorAll(".widget-slider") ?? []) {
    const named = slider.querySelector("label")?.textContent;
    const value = slider.querySelector(".widget-readout")?.textContent;
    for (const handle of slider.querySelectorAll(".noUi-handle")) {
      if (named) handle.setAttribute("aria-label", named);
      if (value) handle.setAttribute("aria-valuetext", value);
    }
  }
}

// Of the pictures that one move changes, the one beside the control is read out, else the first of the page.
function speaks(host) {
  const page = host.closest(".fbkit-page");
  const focused = document.activeElement?.closest(".fbkit-explorer");
  return !page || (focused ? focused.contains(host) : page.querySelector(".fbkit-canvas") === host);
}

// JupyterLab and Voila say on the page's body whether their theme is a dark one.
const isDark = () => document.body.dataset.jpThemeLight === "false";
const specOf = (drawing) => (isDark() && drawing.dark ? drawing.dark : drawing.json);
const keyOf = (drawing) => (isDark() ? `${drawing.key} dark` : drawing.key);

async function render({ model, el }) {
  const host = document.createElement("div");
  const note = document.createElement("div");
  host.className = "fbkit-canvas";
  host.setAttribute("role", "img");
  note.className = "fbkit-trouble";
  note.setAttribute("role", "alert");
  // What a screen reader reads after a move: an element that stays, as a new one would not be announced.
  const said = document.createElement("div");
  said.className = "fbkit-said";
  said.setAttribute("role", "status");
  said.setAttribute("aria-live", "polite");
  el.classList.add("fbkit-live");
  el.append(host, note, said);

  let around = null;
  const reach = () => makeReachable(around);
  let reaching = null;
  const reachSoon = () => {
    clearTimeout(reaching);
    reaching = setTimeout(reach, 200);
  };
  // Controls may come into the page after the first picture, and with every panel that is opened.
  const settled = setTimeout(() => {
    around = host.closest(".fbkit-page") ?? host.closest(".fbkit-explorer");
    around?.addEventListener("focusin", reach);
    reach();
  }, 500);

  let embedded = null;
  let drawnKey = null;
  let painting = false;
  let wanted = false;
  let gone = false;
  const send = sender(model);

  async function embed(frame, drawing) {
    const { vegaEmbed } = await slot.ready;
    const key = keyOf(drawing);
    const spec = JSON.parse(specOf(drawing));
    spec.data = { name: "rows", values: frame.rows };
    embedded?.finalize();
    embedded = await vegaEmbed(host, spec, {
      actions: false,
      ast: true,
      loader,
      mode: "vega-lite",
      patch: (vega) => withLiveTexts(vega, frame.texts),
      renderer: "canvas",
    });
    drawnKey = key;
    // Vega calls it a graphics document, of which screen readers say little; a picture with a sentence is told.
    host.setAttribute("role", "img");
    host.removeAttribute("aria-roledescription");
    listen(embedded.view, send);
    if (Object.keys(frame.signals ?? {}).length) await update(frame);
  }

  async function update(frame) {
    const { view } = embedded;
    for (const [name, value] of Object.entries(frame.signals ?? {})) view.signal(name, value);
    for (const name of frame.cleared ?? []) view.data(`${name}_store`, []);
    for (const name of LIVE) view.signal(`fbkit_${name}`, text(frame.texts, name));
    view.data("rows", frame.rows);
    await view.runAsync();
  }

  async function paint() {
    const frame = model.get("frame");
    const drawing = model.get("drawing");
    if (!frame?.rows || !drawing?.json) return;
    if (embedded && keyOf(drawing) === drawnKey) await update(frame);
    else await embed(frame, drawing);
    note.textContent = "";
    const summary = frame.texts.summary ?? frame.texts.headline ?? "chart";
    if (host.dataset.painted && speaks(host)) said.textContent = summary;
    host.setAttribute("aria-label", summary);
    host.dataset.painted = String(frame.seq);
    reachSoon();
  }

  // One painting at a time; what arrives meanwhile is one more painting of the newest state, never of a stale one.
  async function follow() {
    wanted = true;
    if (painting || gone) return;
    painting = true;
    try {
      while (wanted && !gone) {
        wanted = false;
        await paint();
      }
    } catch (error) {
      note.textContent = `The chart could not be drawn: ${error.message}`;
    } finally {
      painting = false;
    }
  }

  model.on("change:frame", follow);
  const themes = new MutationObserver(follow);
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  await follow();
  return () => {
    gone = true;
    clearTimeout(settled);
    clearTimeout(reaching);
    around?.removeEventListener("focusin", reach);
    themes.disconnect();
    model.off("change:frame", follow);
    embedded?.finalize();
  };
}

export default { render };
