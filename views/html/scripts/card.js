// One input: its outputs to pick, its methods side by side, their agreement, and the matrix.

class Card {
  constructor(page, data, number) {
    this.page = page;
    this.data = data;
    this.number = number;
    this.picked = new Set(data.outputs.length ? [0] : []);
    this.built = false;
    this.stale = true;
    this.visible = false;
    const heading = freshId("card");
    this.body = el("div", { class: "card-body" });
    this.element = el(
      "article",
      { class: "card", "aria-labelledby": heading },
      el("header", {}, el("h2", { id: heading }, this.title()), this.chips()),
      this.body,
    );
    this.element.card = this;
  }

  title() {
    const { data, page } = this;
    const parts = [];
    if (page.data.cards.length > 1) parts.push(el("span", { class: "number" }, `${this.number + 1}`));
    if (data.title) parts.push(brief(data.title, 120));
    const count = data.outputs.length;
    const about = count ? `${count} ${count > 1 ? "outputs" : "output"}` : "nothing to explain";
    const shown = data.error ? "not interpreted" : data.prediction ?? data.label ?? (data.title ? "" : about);
    if (data.title && shown) parts.push("·");
    if (shown) parts.push(brief(shown, 120));
    return parts.flatMap((one, n) => (n ? [" ", one] : [one]));
  }

  chips() {
    const { data } = this;
    const chip = (text, kind = "") => el("span", { class: `chip ${kind}` }, visible(text));
    const told = data.prediction && data.prediction.endsWith("%");
    return el(
      "div",
      { class: "chips" },
      data.confidence !== null && !told ? chip(`${data.outputs.length > 1 ? "least " : ""}p ${percent(data.confidence).startsWith(">") ? "" : "= "}${percent(data.confidence)}`) : null,
      data.gold !== null ? chip(`gold: ${data.gold}`, data.wrong ? "bad" : "") : null,
      data.warnings ? chip(`${data.warnings} ${data.warnings > 1 ? "warnings" : "warning"}`, "bad") : null,
    );
  }

  outputLabel(number) {
    const own = this.data.methods[0].outputs[number];
    return labelText(this.page.data.explanations[own].target.label) ?? "";
  }

  // What can be searched for.
  get words() {
    if (this.known === undefined) {
      const { data, page } = this;
      const numbers = new Set(data.methods.flatMap((one) => one.outputs.filter((n) => n !== null)).flatMap((n) => page.data.views[n].inputs));
      if (data.written !== null) numbers.add(data.written);
      const texts = [...numbers].map((n) => page.data.layouts[n].pieces.map((one) => one[0]).join(""));
      const about = [data.title, data.prediction, data.given, data.error?.message, ...data.outputs];
      this.known = [...texts, ...about.filter(Boolean)].join("\n").toLowerCase();
    }
    return this.known;
  }

  build() {
    this.built = true;
    const { data, page } = this;
    if (data.error) {
      this.body.append(this.errorText());
      return;
    }
    if (!data.outputs.length) {
      this.body.append(el("p", {}, "Nothing: the model predicted nothing that could be explained."));
      return;
    }
    if (data.outputs.length > 1 && data.written === null) this.body.append(this.outputs());
    this.methods = data.methods.map((_, n) => new MethodView(page, this, n));
    this.body.append(el("div", { class: "methods" }, this.methods.map((one) => one.element)));
    if (data.methods.length > 1) {
      this.agreement = later("agreement of the methods", () => this.agreements(), true);
      this.body.append(this.agreement);
    }
    if (data.outputs.length > 1) {
      const title = data.written === null ? "all outputs × input" : "input × written text";
      this.matrix = later(title, () => this.matrices(), data.written !== null && data.outputs.length <= 40);
      this.body.append(this.matrix);
    }
  }

  errorText() {
    const { error, given } = this.data;
    const where = error.line === null || error.line === undefined ? "" : `line ${error.line}: `;
    return el(
      "div",
      {},
      el("p", { class: "warning" }, `${where}${error.type ? `${visible(error.type)}: ` : ""}${visible(error.message)}`),
      given ? el("pre", { tabindex: "0" }, visible(given.length > 2000 ? `${given.slice(0, 2000)} …` : given)) : null,
    );
  }

  outputs() {
    const made = this.data.outputs.map((name, n) =>
      el("span", { class: "output", role: "option", tabindex: n ? "-1" : "0", "data-output": n, dir: "auto" }, brief(name, 80) || "∅"),
    );
    this.choices = made;
    const box = el("div", { class: "outputs", role: "listbox", "aria-label": "outputs: what is explained" }, made);
    const pick = (target) => this.pick(new Set([Number(target.dataset.output)]));
    box.addEventListener("click", (event) => {
      const target = event.target.closest("[data-output]");
      if (!target) return;
      made.forEach((one) => (one.tabIndex = one === target ? 0 : -1));
      pick(target);
    });
    roving(box, made, { onmove: pick });
    return box;
  }

  pick(numbers) {
    if (!numbers.size) return;
    this.picked = numbers;
    this.update();
  }

  // Draws what is seen; the rest waits until it is.
  update() {
    if (!this.visible) {
      this.stale = true;
      return;
    }
    if (!this.built) this.build();
    this.stale = false;
    if (!this.methods) return;
    for (const one of this.methods) one.update();
    this.choices?.forEach((one, n) => one.setAttribute("aria-selected", this.picked.has(n) ? "true" : "false"));
    this.agreement?.refresh();
    if (this.drawn !== this.page.version) this.matrix?.refresh();
    this.drawn = this.page.version;
  }

  // Scores by where units stand, for two methods that may have other tokens.
  placed(method, level) {
    const found = new Map();
    const chosen = method.chosen();
    if (!chosen.length) return found;
    method.fields(chosen).forEach((field, f) => {
      let place = 0;
      for (const part of partsOf(field.layout, level)) {
        const text = typeof part === "string" ? part : part.text;
        const beside = typeof part !== "string" && (part.kind === SPECIAL || part.kind === ABSENT);
        if (typeof part !== "string" && !beside) found.set(`${f}:${place}-${place + text.length}`, unitScore(part, field.scores));
        if (!beside) place += text.length;
      }
    });
    return found;
  }

  agreements() {
    const { level } = this.page.settings;
    const pair = (a, b) => {
      for (const tried of [level, "word", "sentence"]) {
        const [first, second] = [this.placed(a, tried), this.placed(b, tried)];
        const keys = [...first.keys()].filter((one) => second.has(one));
        if (keys.length >= 2 && keys.length >= 0.9 * Math.max(first.size, second.size)) {
          const scores = [first, second].map((one) => keys.map((key) => one.get(key)));
          return { rho: spearman(...scores), shared: this.overlap(...scores), tried };
        }
      }
      return null;
    };
    const names = this.methods.map((one) => brief(one.method.name, 50));
    const cells = this.methods.map((a, r) =>
      this.methods.map((b, c) => {
        if (r === c) return el("td", {}, "1");
        const found = pair(a, b);
        if (!found || found.rho === null) return el("td", { title: "they score other units, or one of them gives all the same" }, "–");
        const cell = el("td", {}, `${found.rho.toFixed(2)}`, el("span", { class: "small" }, ` · ${found.shared}`));
        paint(cell, found.rho, 1);
        cell.title = `by ${found.tried}`;
        return cell;
      }),
    );
    const table = el(
      "table",
      { class: "grid" },
      el("caption", {}, `Spearman's rank correlation of the scores of the text's own ${level}s · how many of the ${this.page.settings.k} strongest they share`),
      el("thead", {}, el("tr", {}, el("td", {}), names.map((one) => el("th", { scope: "col" }, one)))),
      el("tbody", {}, names.map((one, n) => el("tr", {}, el("th", { scope: "row" }, one), cells[n]))),
    );
    return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "agreement" }, table);
  }

  overlap(first, second) {
    const top = (scores) => new Set(scores.map((_, n) => n).sort((a, b) => Math.abs(scores[b]) - Math.abs(scores[a])).slice(0, this.page.settings.k));
    const [one, other] = [top(first), top(second)];
    return `${[...one].filter((n) => other.has(n)).length}/${one.size}`;
  }

  // Per method and field a matrix: units of the text by outputs.
  matrices() {
    return el("div", {}, this.methods.map((method) => this.matrixOf(method)));
  }

  matrixOf(method) {
    const { data, page } = this;
    const { level, numbers, contrast } = page.settings;
    const written = data.written === null ? null : page.data.layouts[data.written];
    const columns = written
      ? unitsOf(written, level).map((unit) => ({ name: nameOf(unit, 24), outputs: unit.tokens }))
      : data.outputs.map((name, n) => ({ name: brief(name, 40), outputs: [n] }));
    const scored = columns.map(({ outputs }) => {
      const chosen = method.chosen(outputs);
      return chosen.length ? method.fields(chosen) : null;
    });
    const first = scored.find(Boolean);
    if (!first) return el("p", { class: "small" }, "nothing to show");
    const fields = first.map((field, f) => {
      const units = unitsOf(field.layout, level).filter((unit) => !isHidden(unit, page.settings));
      const values = scored.map((one) =>
        one && one[f].layout === field.layout
          ? units.map((unit) => (one[f].known && !unit.tokens.some((n) => one[f].known[n]) ? null : unitScore(unit, one[f].scores)))
          : units.map(() => null),
      );
      return { field, units, values };
    });
    const totals = columns.map((_, c) => sum(fields.flatMap((one) => one.values[c].map((score) => Math.abs(score ?? 0)))));
    const share = (score, c) => (numbers === "raw" || score === null ? score : totals[c] ? (100 * score) / totals[c] : 0);
    const scale = strongest(fields.flatMap((one) => one.values.flatMap((own, c) => own.map((score) => share(score, c) ?? 0))));
    const heading = data.methods.length > 1 ? el("h4", {}, visible(method.method.name)) : null;
    return el(
      "div",
      {},
      heading,
      fields
        .filter(({ units, values }) => units.length && values.some((own) => own.some((one) => one !== null)))
        .map(({ field, units, values }) =>
          grid({
            name: field.written ? "what was written before, by what is written" : `${visible(field.field)}, by what is ${written ? "written" : "explained"}`,
            rows: units.map((unit) => nameOf(unit, 24)),
            columns: columns.map((one) => one.name),
            value: (r, c) => share(values[c][r], c),
            scale,
            format: (score) => signed(score, scale),
            contrast,
            corner: numbers === "raw" ? "" : "% of the column",
            tip: page.tip,
            onpick: (c) => this.pick(new Set(columns[c].outputs)),
          }),
        ),
    );
  }
}
