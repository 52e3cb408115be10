// Pairs of tokens as arcs over the text in one line.

const SVG = "http://www.w3.org/2000/svg";
const MOST_ARCS = 12;

// fields: per field its name and its units; pairs: [[field, unit], [field, unit], value].
function arcs(fields, pairs, settings) {
  const known = pairs.slice().sort((a, b) => Math.abs(b[2]) - Math.abs(a[2]));
  const shown = known.slice(0, MOST_ARCS);
  const scale = strongest(shown.map((one) => one[2]));
  const line = el("div", { class: "line" });
  const at = new Map();
  fields.forEach(({ name, units }, f) => {
    if (f) line.append(el("span", { class: "apart" }, " ┆ "));
    if (fields.length > 1) line.append(el("span", { class: "small" }, `${visible(name)} `));
    units.forEach((unit, u) => {
      const made = el("span", { class: "word" }, nameOf(unit, 24));
      at.set(`${f},${u}`, made);
      line.append(made, " ");
    });
  });
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("aria-hidden", "true");
  const box = el("div", { class: "arcs" }, picture, line);
  const draw = () => {
    const left = box.getBoundingClientRect().left;
    const middle = ([f, u]) => {
      const word = at.get(`${f},${u}`).getBoundingClientRect();
      return word.left + word.width / 2 - left;
    };
    const spans = shown.map(([first, second]) => [middle(first), middle(second)]);
    const height = Math.min(180, 24 + Math.max(0, ...spans.map(([a, b]) => Math.abs(a - b) / 3)));
    picture.setAttribute("width", line.scrollWidth);
    picture.setAttribute("height", height);
    picture.replaceChildren();
    shown.forEach(([, , value], n) => {
      const [from, to] = spans[n];
      const top = height - Math.min(height - 6, 14 + Math.abs(from - to) / 3);
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", `M ${from} ${height} C ${from} ${top}, ${to} ${top}, ${to} ${height}`);
      path.setAttribute("class", value > 0 ? "arc" : "arc against");
      path.setAttribute("stroke-width", String(0.75 + 4 * (scale ? Math.abs(value) / scale : 0)));
      picture.append(path);
    });
  };
  new ResizeObserver(draw).observe(box);
  const name = ([f, u]) => nameOf(fields[f].units[u]);
  const list = el(
    "ol",
    { class: "top" },
    shown.map(([first, second, value]) =>
      el("li", {}, el("bdi", {}, name(first)), " · ", el("bdi", {}, name(second)), " ", el("b", {}, signed(value, scale))),
    ),
  );
  const rest = known.length - shown.length;
  const region = { class: "scroll", tabindex: "0", role: "region", "aria-label": "interactions as arcs" };
  return el(
    "div",
    {},
    el("p", { class: "small" }, "Solid: the target needs both. Dashed: one is as good as both, or they contradict."),
    el("div", region, box),
    list,
    rest > 0 ? el("p", { class: "small" }, `… and ${rest} weaker pairs, which are in the file`) : null,
  );
}
