// What stands below a heat map: what was explained, all scores, attention, settings.

function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el(
    "dl",
    { class: "facts" },
    known.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, visible(value)))),
  );
}

// name: what the label is called, where that is more readable than the label.
function targetFacts(explanations, name = null) {
  const [first] = explanations;
  const target = first.target;
  const value = sum(explanations.map((one) => one.target.value ?? NaN));
  const baselines = explanations.map((one) => one.target.baseline_value);
  const baseline = baselines.some((one) => one === undefined) ? null : sum(baselines);
  const deltas = explanations.map((one) => one.convergence_delta);
  const delta = deltas.some((one) => one === null) ? null : sum(deltas);
  const unassigned = sum(explanations.flatMap((one) => one.inputs.map((field) => field.unassigned)));
  const probability = probabilityOf(target);
  const several = explanations.length > 1;
  const difference = baseline === null ? null : value - baseline;
  const share = difference ? Math.abs(delta / difference) : null;
  const told = share === null ? "" : ` (${share < 0.001 ? "< 0.1" : (100 * share).toFixed(1)} % of the difference)`;
  const kind = target.type === "FunctionTarget" ? `function ${target.function}` : target.type;
  const known = ["type", "function", "label", "value", "baseline_value", "positions", "field", "no_answer"];
  // The name says these.
  if (name !== null) known.push("verb", "role", "head", "mention");
  const others = Object.entries(target).filter(([key]) => !known.includes(key) && !key.endsWith("_positions"));
  return facts([
    ["target", several ? `${kind}, sum over ${explanations.length} outputs` : kind],
    ["label", several ? null : target.no_answer ? "no answer" : labelText(target.label) && (name ?? labelText(target.label))],
    ["probability", several || probability === null ? null : percent(probability)],
    ["value", Number.isNaN(value) ? null : plain(value)],
    ["at the baseline", baseline === null ? null : plain(baseline)],
    ["convergence delta", delta === null ? null : plain(delta) + told],
    ["on no token", unassigned ? plain(unassigned) : null],
    ...(several ? [] : others.map(([key, one]) => [key, short(one)])),
  ]);
}

const labelText = (label) => (Array.isArray(label) ? label.join(" ") : label ?? null);

function probabilityOf(target) {
  // Of a verb's tags it is the mean, which is the probability of nothing.
  if (typeof target.value !== "number" || "verb" in target) return null;
  if (target.type === "probability") return target.value;
  return target.type === "log-likelihood" && target.value <= 0 ? Math.exp(target.value) : null;
}

function settingsOf(explanation) {
  const entries = Object.entries(explanation.interpreter).filter(([key]) => key !== "type");
  const details = Object.entries(explanation.details ?? {});
  const overlong = Object.entries(explanation.overlong ?? {}).filter(([key]) => key !== "windows");
  const list = (pairs) => facts(pairs.map(([key, value]) => [key, short(value)]));
  return el(
    "div",
    {},
    el("p", { class: "small" }, "As they would stand in a configuration:"),
    el("pre", { tabindex: "0" }, visible(JSON.stringify(explanation.interpreter, null, 2))),
    entries.length ? null : el("p", { class: "small" }, "The method has no parameters."),
    details.length ? [el("h4", {}, "reported by the method"), list(details)] : null,
    overlong.length ? [el("h4", {}, "longer than the model takes"), list(overlong)] : null,
  );
}

// All scores, in the order of the text, with the exact numbers of the file.
function scoreTable(rows, errors) {
  const table = el(
    "table",
    { class: "scores" },
    el("caption", { class: "hidden" }, "All scores"),
    el(
      "thead",
      {},
      el("tr", {}, ["input", "text", "tokens", "score", ...(errors ? ["± error"] : []), "share", "rank"].map((one) => el("th", { scope: "col" }, one))),
    ),
    el(
      "tbody",
      {},
      rows.map((row) =>
        el(
          "tr",
          {},
          el("td", {}, visible(row.field)),
          el("th", { scope: "row", dir: "auto" }, row.name),
          el("td", { class: "raw" }, visible(row.tokens.join(" "))),
          el("td", { class: "number" }, String(row.score)),
          errors ? el("td", { class: "number" }, row.error === null ? "" : plain(row.error)) : null,
          el("td", { class: "number" }, row.share),
          el("td", { class: "number" }, String(row.rank)),
        ),
      ),
    ),
  );
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "all scores" }, table);
}

function floats(matrix) {
  if (!matrix.numbers) {
    const bytes = Uint8Array.from(atob(matrix.float32), (one) => one.charCodeAt(0));
    matrix.numbers = new Float32Array(bytes.buffer);
  }
  return matrix.numbers;
}

// Attention by layer and head, or the mean over them.
function attention(matrices, settings, tip) {
  const chosen = { matrix: 0, layer: "mean", head: "mean" };
  const controls = el("div", { class: "row" });
  const body = el("div");
  const draw = () => {
    const matrix = matrices[chosen.matrix];
    if (matrix.missing) {
      body.replaceChildren(el("p", { class: "warning" }, `not read: ${visible(matrix.missing)}`));
      return;
    }
    const heads = matrix.axes.includes("head") ? matrix.shape[1] : 1;
    const [rows, columns] = matrix.shape.slice(-2);
    const numbers = floats(matrix);
    const all = (count, one) => (one === "mean" ? [...Array(count).keys()] : [Number(one)]);
    const [layers, own] = [all(matrix.shape[0], chosen.layer), all(heads, heads > 1 ? chosen.head : 0)];
    const mean = new Float64Array(rows * columns);
    for (const layer of layers) {
      for (const head of own) {
        const start = (layer * heads + head) * rows * columns;
        for (let n = 0; n < mean.length; n += 1) mean[n] += numbers[start + n];
      }
    }
    const value = (r, c) => mean[r * columns + c] / (layers.length * own.length);
    let scale = 0;
    for (let n = 0; n < mean.length; n += 1) scale = Math.max(scale, mean[n]);
    const names = (tokens) => tokens.map((one) => brief(one, 20) || "∅");
    body.replaceChildren(
      grid({
        name: `${matrix.kind} attention, layer ${chosen.layer}, head ${heads > 1 ? chosen.head : "all"}`,
        rows: names(matrix.queries),
        columns: names(matrix.keys),
        value,
        scale: scale / (layers.length * own.length),
        format: (number) => number.toFixed(2),
        contrast: settings.contrast,
        corner: "looks at →",
        tip,
      }),
    );
  };
  const build = () => {
    const { axes, shape } = matrices[chosen.matrix];
    const numbered = (count) => [["mean", "mean"], ...[...Array(count).keys()].map((n) => [String(n), String(n)])];
    const add = (key, text, values) => {
      const control = select(values, String(chosen[key]), (value) => {
        chosen[key] = key === "matrix" ? Number(value) : value;
        if (key === "matrix") build();
        draw();
      });
      controls.append(labelled(text, control));
    };
    controls.replaceChildren();
    if (matrices.length > 1) add("matrix", "sequence", matrices.map((one, n) => [String(n), `${n + 1}: ${one.kind}`]));
    if (!shape) return;
    add("layer", "layer", numbered(shape[0]));
    if (axes.includes("head")) add("head", "head", numbered(shape[1]));
  };
  build();
  draw();
  return el("div", {}, controls, body);
}
