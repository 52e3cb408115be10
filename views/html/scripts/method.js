// The heat map of one method: the texts of an input, coloured for the outputs that are picked.

class MethodView {
  constructor(page, card, number) {
    this.page = page;
    this.card = card;
    this.method = card.data.methods[number];
    this.blocks = [];
    this.key = null;
    this.texts = el("div", { class: "texts" });
    this.strongest = el("ol", { class: "top", "aria-label": "strongest scores" });
    this.below = el("div");
    this.open = new Set();
    this.element = el(
      "section",
      { class: "method", "aria-label": visible(this.method.name) },
      el("h3", {}, visible(this.method.name)),
      this.texts,
      this.strongest,
      this.below,
    );
  }

  // The explanations of some outputs, and how to draw them.
  chosen(outputs = this.card.picked) {
    const numbers = [...outputs].sort((a, b) => a - b).map((one) => this.method.outputs[one]);
    return numbers
      .filter((one) => one !== null && one !== undefined)
      .map((one) => ({ explanation: this.page.data.explanations[one], view: this.page.data.views[one] }));
  }

  // Per field its name, its layout, and its scores, added up over the outputs that are picked.
  fields(chosen) {
    const { data } = this.page;
    const written = this.card.data.written;
    const [first] = chosen;
    return first.view.order.map((place) => {
      const { field } = first.explanation.inputs[place];
      if (written !== null && field === "generated") {
        const layout = data.layouts[written];
        const scores = new Array(layout.count).fill(0);
        const known = new Array(layout.count).fill(false);
        for (const { explanation, view } of chosen) {
          const own = explanation.inputs.find((one) => one.field === "generated");
          view.prefix.forEach((unit, token) => {
            if (unit === null) return;
            scores[unit] += own.attributions[token];
            known[unit] = true;
          });
        }
        return { field, layout, scores, known, written: true, place };
      }
      const number = first.view.inputs[place];
      const scores = new Array(data.layouts[number].count).fill(0);
      for (const { explanation, view } of chosen) {
        if (view.inputs[place] !== number) continue;
        explanation.inputs[place].attributions.forEach((score, n) => {
          scores[n] += score;
        });
      }
      const one = chosen.length === 1 ? first.explanation.inputs[place] : null;
      return { field, layout: data.layouts[number], scores, one, place };
    });
  }

  update() {
    const chosen = this.chosen();
    this.current = chosen;
    if (!chosen.length) {
      this.key = null;
      this.blocks = [];
      this.texts.replaceChildren(el("p", { class: "small" }, "This method does not explain this output."));
      this.strongest.replaceChildren();
      this.below.replaceChildren();
      return;
    }
    const { settings } = this.page;
    const fields = this.fields(chosen);
    const key = [settings.level, settings.special, ...fields.map((one) => this.page.data.layouts.indexOf(one.layout))].join();
    if (key !== this.key) this.build(fields);
    this.key = key;
    this.blocks.forEach((block, n) => Object.assign(block, fields[n]));
    this.score();
    this.paint();
    this.tellBelow();
  }

  build(fields) {
    const { settings, tip } = this.page;
    this.blocks = fields.map((one) => {
      const block = { ...one };
      block.text = new RunningText(one.layout, settings.level, settings, {
        name: `${visible(one.field)}: ${one.written ? "the written text; pick what to explain" : "text with scores"}`,
        told: (unit) => this.told(block, unit),
        pick: one.written ? (from, to) => this.pickUnits(block, from, to) : null,
        tip,
      });
      return block;
    });
    this.texts.replaceChildren(
      ...this.blocks.map((block) => {
        const head = el("div", { class: "field" }, visible(block.field));
        if (block.written) head.append(el("span", { class: "hint" }, " – pick a token, or drag over several"));
        return el("div", { class: "block" }, head, block.text.units.length ? block.text.element : el("p", { class: "small" }, "(no tokens)"));
      }),
    );
  }

  pickUnits(block, from, to) {
    const own = block.text.units.slice(Math.min(from, to), Math.max(from, to) + 1);
    this.card.pick(new Set(own.flatMap((unit) => unit.tokens)));
  }

  score() {
    this.rows = this.blocks.flatMap((block) =>
      block.text.units.map((unit, n) => ({ block, unit, n, score: unitScore(unit, block.scores) })),
    );
    const sizes = this.rows.map((row) => Math.abs(row.score));
    this.scale = strongest(sizes);
    this.total = sum(sizes);
    const order = this.rows.map((_, n) => n).sort((a, b) => sizes[b] - sizes[a]);
    order.forEach((n, rank) => {
      const before = rank ? this.rows[order[rank - 1]] : null;
      const same = before && Math.abs(before.score) === sizes[n];
      this.rows[n].rank = same ? before.rank : rank + 1;
    });
    this.order = order.map((n) => this.rows[n]);
  }

  paint() {
    const { settings } = this.page;
    const top = this.order.slice(0, settings.k).filter((row) => row.score !== 0);
    for (const block of this.blocks) {
      const own = this.rows.filter((row) => row.block === block);
      const ratios = own.map((row) => (this.scale ? row.score / this.scale : 0));
      const strong = new Set(top.filter((row) => row.block === block).map((row) => row.n));
      block.text.colour(ratios, strong, this.marks(block));
      if (block.written) {
        block.text.selected(new Set(own.filter((row) => row.unit.tokens.some((n) => this.card.picked.has(n))).map((row) => row.n)));
      }
    }
    this.strongest.replaceChildren(
      ...top.map((row) => el("li", {}, el("bdi", {}, nameOf(row.unit, 40)), " ", el("b", {}, this.number(row.score)))),
    );
    this.strongest.hidden = !top.length;
  }

  // Which units of a block are what is explained, or belong to it.
  marks(block) {
    const found = new Map();
    if (block.written || this.current.length !== 1) return found;
    for (const [place, token, mark] of this.current[0].view.marks) {
      if (place !== block.place) continue;
      const at = block.text.units.findIndex((unit) => unit.tokens.includes(token));
      if (at >= 0 && !found.has(at)) found.set(at, mark);
    }
    return found;
  }

  number(score) {
    if (this.page.settings.numbers === "raw") return signed(score, Math.abs(score));
    const share = this.total ? (100 * score) / this.total : 0;
    return `${signed(share, 100)} %`;
  }

  rawTokens(block, unit) {
    const [first] = this.current;
    if (block.written) return unit.tokens.map((n) => this.card.outputLabel(n));
    return unit.tokens.map((n) => first.explanation.inputs[block.place].tokens[n]);
  }

  told(block, unit) {
    const row = this.rows.find((one) => one.unit === unit);
    const tokens = this.rawTokens(block, unit).map((one) => brief(one, 30));
    const lines = [nameOf(unit, 80)];
    if (block.written && !unit.tokens.some((n) => block.known[n])) {
      lines.push(unit.tokens.some((n) => this.card.picked.has(n)) ? "explained here" : "written later: no score");
    } else {
      const share = this.total ? ` (${((100 * row.score) / this.total).toFixed(1)} % of all)` : "";
      lines.push(`score ${row.score}${share}`, `rank ${row.rank} of ${this.rows.length}`);
      const errors = block.one?.standard_errors;
      if (errors && unit.tokens.length === 1) lines.push(`standard error ${plain(errors[unit.tokens[0]])}`);
    }
    if (tokens.join(" ") !== lines[0]) lines.push(`${tokens.length > 1 ? "tokens" : "token"} ${tokens.slice(0, 12).join(" ")}`);
    if (unit.kind) lines.push({ 1: "special token", 2: "unknown to the tokenizer", 3: "not in the text" }[unit.kind]);
    return lines;
  }

  tellBelow() {
    const chosen = this.current.map((one) => one.explanation);
    const [first] = chosen;
    const [picked] = this.card.picked;
    const name = this.card.data.outputs[picked];
    const parts = [targetFacts(chosen, name)];
    for (const warning of new Set(chosen.flatMap((one) => one.warnings))) {
      parts.push(el("p", { class: "warning" }, el("b", {}, "Warning: "), visible(warning)));
    }
    if (first.interactions?.length && chosen.length === 1) {
      parts.push(this.detail("interactions", () => this.arcs(first), true));
    }
    if (first.matrices?.length && chosen.length === 1) {
      parts.push(this.detail("attention by layer and head", () => attention(first.matrices, this.page.settings, this.page.tip)));
    }
    parts.push(this.detail("all scores as a table", () => this.table()));
    parts.push(this.detail("settings", () => settingsOf(first)));
    this.below.replaceChildren(...parts);
  }

  // A part that stays open or closed when the outputs that are picked change.
  detail(title, fill, open = false) {
    if (open && !this.open.has(`${title} closed`)) this.open.add(title);
    const made = later(title, fill, this.open.has(title));
    made.addEventListener("toggle", () => {
      this.open.delete(made.open ? `${title} closed` : title);
      this.open.add(made.open ? title : `${title} closed`);
    });
    return made;
  }

  table() {
    const errors = this.blocks.some((block) => block.one?.standard_errors);
    const share = (score) => (this.total ? `${((100 * score) / this.total).toFixed(1)} %` : "");
    const rows = this.rows.map((row) => ({
      field: row.block.field,
      name: nameOf(row.unit),
      tokens: this.rawTokens(row.block, row.unit),
      score: row.score,
      error: row.unit.tokens.length === 1 ? row.block.one?.standard_errors?.[row.unit.tokens[0]] ?? null : null,
      share: share(row.score),
      rank: row.rank,
    }));
    return scoreTable(rows, errors);
  }

  arcs(explanation) {
    const fields = this.blocks.map((block) => ({ name: block.field, units: block.text.units }));
    const sums = new Map();
    const place = ([name, token]) => {
      const f = this.blocks.findIndex((block) => block.field === name);
      return f < 0 ? null : [f, fields[f].units.findIndex((unit) => unit.tokens.includes(token))];
    };
    for (const { first, second, value } of explanation.interactions) {
      const pair = [place(first), place(second)];
      if (pair.some((one) => one === null || one[1] < 0) || String(pair[0]) === String(pair[1])) continue;
      const known = sums.get(String(pair)) ?? [...pair, 0];
      known[2] += value;
      sums.set(String(pair), known);
    }
    return arcs(fields, [...sums.values()], this.page.settings);
  }
}
