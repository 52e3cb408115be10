// Scores as numbers and as colours.

const FOR = { light: [0x0b, 0x57, 0xd6], dark: [0x5a, 0x9b, 0xff] };
const AGAINST = { light: [0xcc, 0x2e, 0x05], dark: [0xff, 0x7a, 0x45] };
const GROUND = { light: [0xff, 0xff, 0xff], dark: [0x1b, 0x1e, 0x24] };
const FAINTEST = 0.02; // of the strongest score: below it a token keeps the page's own colours

const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);
const strongest = (numbers) => numbers.reduce((most, one) => Math.max(most, Math.abs(one)), 0);

// With two digits of the strongest one; what rounds to nothing has no sign.
function signed(score, scale) {
  if (!scale || !score) return "0";
  const magnitude = Math.floor(Math.log10(scale));
  if (magnitude < -5 || magnitude > 5) return (score > 0 ? "+" : "−") + Math.abs(score).toExponential(1);
  const digits = Math.max(1 - magnitude, magnitude < 1 ? 2 : 1);
  const shown = Math.abs(score).toFixed(digits);
  return /[1-9]/.test(shown) ? (score > 0 ? "+" : "−") + shown : shown;
}

function plain(value) {
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

function percent(share) {
  return share >= 0.9995 && share < 1 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`;
}

// A parameter in a few words.
function short(value) {
  if (value && typeof value === "object" && !Array.isArray(value)) {
    const typed = typeof value.type === "string";
    const rest = Object.entries(value).filter(([key]) => !typed || key !== "type");
    const told = rest.map(([key, one]) => `${key} ${short(one)}`).join(", ");
    if (!typed) return `(${told})`;
    return told ? `${value.type} (${told})` : value.type;
  }
  return plain(value);
}

// Asked when the theme may have changed, not for each of thousands of tokens.
let theme = "light";
function readTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  theme = document.documentElement.dataset.theme || system;
}

function luminance(colour) {
  const [red, green, blue] = colour.map((one) => {
    const part = one / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

// The background of a score and the text's colour on it, which has the contrast that WCAG asks for.
function colours(ratio, contrast = 1) {
  const strength = Math.min(Math.abs(ratio), 1) ** (1 / contrast);
  if (!(strength >= FAINTEST)) return null;
  const full = (ratio > 0 ? FOR : AGAINST)[theme];
  const back = GROUND[theme].map((one, n) => Math.round(one + (full[n] - one) * strength));
  return { back: `rgb(${back})`, text: luminance(back) > 0.179 ? "#000" : "#fff" };
}

function paint(element, ratio, contrast) {
  const found = colours(ratio, contrast);
  element.style.backgroundColor = found ? found.back : "";
  element.style.color = found ? found.text : "";
}

// Ranks from 1; equal numbers share the mean of theirs.
function ranks(numbers) {
  const order = numbers.map((_, n) => n).sort((a, b) => numbers[a] - numbers[b]);
  const found = new Array(numbers.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end + 1 < order.length && numbers[order[end + 1]] === numbers[order[start]]) end += 1;
    for (let n = start; n <= end; n += 1) found[order[n]] = (start + end) / 2 + 1;
    start = end + 1;
  }
  return found;
}

// Spearman's rank correlation; null where one of them is constant.
function spearman(first, second) {
  const [one, other] = [ranks(first), ranks(second)];
  const mean = (one.length + 1) / 2;
  let [both, own, others] = [0, 0, 0];
  for (let n = 0; n < one.length; n += 1) {
    both += (one[n] - mean) * (other[n] - mean);
    own += (one[n] - mean) ** 2;
    others += (other[n] - mean) ** 2;
  }
  return own && others ? both / Math.sqrt(own * others) : null;
}
