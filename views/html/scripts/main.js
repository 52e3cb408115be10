// The page: the cards are drawn when they come into view.

class Page {
  constructor(root, data) {
    readTheme();
    this.root = root;
    this.data = data;
    this.version = 0;
    this.settings = { level: "token", k: 3, only: false, contrast: 1, numbers: "raw", special: true };
    this.tip = new Tip(root);
    this.cards = data.cards.map((one, n) => new Card(this, one, n));
    this.list = el("main", { id: "cards", tabindex: "-1" }, this.cards.map((one) => one.element));
    this.legend = legend();
    // A telephone has no room for the controls; where there is room, they are simply there.
    const controls = el("details", { class: "controls", open: innerWidth > 700 });
    controls.append(el("summary", {}, "controls"), viewControls(this));
    const bar = el("div", { class: "bar", role: "region", "aria-label": "controls" }, controls);
    const count = el("p", { class: "count", role: "status" });
    if (this.cards.length > 1) controls.append(filterControls(this, count));
    bar.append(el("div", { class: "row last" }, this.legend, count, themeControl(this)));
    const title = root.dataset.title;
    root.append(...(title ? [el("h1", {}, visible(title))] : []), bar, this.list);
    if (!this.cards.length) this.list.append(el("p", {}, "There are no explanations."));
    this.legend.update(1);
    this.watch();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.change({}));
  }

  watch() {
    const observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const { card } = target;
          card.visible = isIntersecting;
          if (isIntersecting && card.stale) card.update();
        }
      },
      { rootMargin: "600px 0px" },
    );
    for (const card of this.cards) observer.observe(card.element);
  }

  change(settings) {
    Object.assign(this.settings, settings);
    this.version += 1;
    readTheme();
    this.legend.update(this.settings.contrast);
    for (const card of this.cards) card.update();
  }
}

// Draws data, as `page_data` returns it, in an element.
function mount(root, data) {
  root.querySelector("noscript")?.remove();
  return new Page(root, data);
}

globalThis.allennlpSaliency = { mount };

const ownData = document.getElementById("data");
if (ownData) mount(document.getElementById("app"), JSON.parse(ownData.textContent));
