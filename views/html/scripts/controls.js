// The bar above the explanations: how they are shown, and which.

function viewControls(page) {
  const { settings } = page;
  const most = el("output", {}, String(settings.k));
  const slider = (key, attributes, shown, parse = Number) => {
    const made = el("input", { type: "range", ...attributes });
    made.value = attributes.value;
    made.addEventListener("input", () => {
      page.change({ [key]: parse(made.value) });
      if (shown) shown.textContent = made.value;
    });
    return made;
  };
  const top = labelled("strongest", slider("k", { min: 0, max: 20, step: 1, value: settings.k, id: "top-k" }, most), "How many of the strongest are underlined and listed");
  top.append(most);
  const check = (key, text, id) => {
    const made = el("input", { type: "checkbox", id, onchange: () => page.change({ [key]: made.checked }) });
    made.checked = settings[key];
    return el("span", { class: "control" }, made, el("label", { for: id }, text));
  };
  const levels = [["token", "tokens"], ["word", "words"], ["sentence", "sentences"]];
  return el(
    "div",
    { class: "row", role: "group", "aria-label": "how the scores are shown" },
    labelled("scores of", Object.assign(select(levels, settings.level, (level) => page.change({ level })), { id: "level" })),
    top,
    check("only", "colour these alone", "only"),
    labelled("contrast", slider("contrast", { min: -2, max: 2, step: 0.25, value: 0, id: "contrast" }, null, (value) => 2 ** Number(value)), "How much colour weak scores get"),
    labelled("numbers", Object.assign(select([["raw", "raw"], ["share", "normalised"]], settings.numbers, (numbers) => page.change({ numbers })), { id: "numbers" }), "Raw: in units of the target. Normalised: in % of the sum of all scores without their signs"),
    check("special", "special tokens", "special"),
  );
}

function themeControl(page) {
  const theme = select([["", "system"], ["light", "light"], ["dark", "dark"]], "", (value) => {
    if (value) document.documentElement.dataset.theme = value;
    else delete document.documentElement.dataset.theme;
    page.change({});
  });
  return labelled("theme", theme);
}

function legend() {
  const steps = el("span", { class: "scale", "aria-hidden": "true" });
  const made = el("p", { class: "legend" }, "speaks against ", steps, " speaks for what is explained");
  made.update = (contrast) => {
    steps.replaceChildren(
      ...[-1, -0.7, -0.4, -0.15, 0, 0.15, 0.4, 0.7, 1].map((ratio) => {
        const step = el("span", { class: "step" });
        paint(step, ratio, contrast);
        return step;
      }),
    );
  };
  return made;
}

const SORTS = {
  file: ["as in the file", (card) => card.number],
  label: ["label", (card) => card.data.label ?? card.data.labels[0] ?? "\uffff"],
  unsure: ["least sure first", (card) => card.data.confidence ?? 2],
  sure: ["surest first", (card) => -(card.data.confidence ?? -1)],
  delta: ["largest delta first", (card) => -(card.data.delta ?? -1)],
  error: ["errors, warnings first", (card) => (card.data.error ? -1e9 : card.data.wrong ? -1e8 : 0) - card.data.warnings],
};

// Controls that choose and sort the inputs, where there are several.
function filterControls(page, count) {
  const { cards } = page;
  const chosen = { text: "", label: "", from: 0, to: 100, state: "all", sort: "file" };
  const labels = [...new Set(cards.flatMap((card) => card.data.labels))].sort();
  const states = [["all", "all"], ["good", "interpreted"], ["failed", "errors"], ["warned", "with warnings"]];
  if (cards.some((card) => card.data.gold !== null)) states.push(["wrong", "predicted wrongly"], ["right", "predicted rightly"]);
  const fits = {
    all: () => true,
    good: (data) => !data.error,
    failed: (data) => data.error,
    warned: (data) => data.warnings > 0,
    wrong: (data) => data.wrong === true,
    right: (data) => data.wrong === false,
  };
  const apply = () => {
    const text = chosen.text.trim().toLowerCase();
    const anyConfidence = chosen.from <= 0 && chosen.to >= 100;
    let shown = 0;
    for (const card of cards) {
      const { data } = card;
      const confidence = data.confidence === null ? null : 100 * data.confidence;
      const fit =
        fits[chosen.state](data) &&
        (!chosen.label || data.labels.includes(chosen.label)) &&
        (anyConfidence || (confidence !== null && confidence >= chosen.from && confidence <= chosen.to)) &&
        (!text || card.words.includes(text));
      card.element.hidden = !fit;
      shown += fit ? 1 : 0;
    }
    count.textContent = `${shown} of ${cards.length} inputs`;
  };
  const sort = () => {
    const [, key] = SORTS[chosen.sort];
    const keys = new Map(cards.map((card) => [card, key(card)]));
    const order = cards.slice().sort((a, b) => {
      const [one, other] = [keys.get(a), keys.get(b)];
      return one < other ? -1 : one > other ? 1 : a.number - b.number;
    });
    page.list.append(...order.map((card) => card.element));
  };
  const set = (key) => (value) => {
    chosen[key] = value;
    if (key === "sort") sort();
    else apply();
  };
  const input = (key, attributes) => {
    const made = el("input", attributes);
    made.addEventListener("input", () => set(key)(attributes.type === "number" ? Number(made.value) : made.value));
    return made;
  };
  const named = (id, control) => Object.assign(control, { id });
  const between = el("span", { class: "control", role: "group", "aria-label": "confidence in percent" });
  const from = input("from", { type: "number", id: "from", min: 0, max: 100, value: 0 });
  const to = input("to", { type: "number", id: "to", min: 0, max: 100, value: 100 });
  between.append(el("label", { for: "from" }, "confidence from"), from, el("label", { for: "to" }, "to"), to, " %");
  apply();
  return el(
    "div",
    { class: "row", role: "group", "aria-label": "which inputs are shown" },
    labelled("find", input("text", { type: "search", id: "find" })),
    labels.length > 1 && labels.length <= 500 ? labelled("label", named("label", select([["", "any"], ...labels.map((one) => [one, brief(one, 40)])], "", set("label")))) : null,
    between,
    labelled("show", named("state", select(states, "all", set("state")))),
    labelled("sort by", named("sort", select(Object.entries(SORTS).map(([key, [text]]) => [key, text]), "file", set("sort")))),
  );
}
