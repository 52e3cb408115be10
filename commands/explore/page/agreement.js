// How far two explanations of the same tokens agree.

const TOP = 3;

export function agreement(one, other) {
  const [first, second] = [one, other].map((result) => result?.instances?.[0]?.explanation);
  if (!first || !second) return "";
  const tokens = ({ inputs }) => JSON.stringify(inputs.map((field) => field.tokens));
  if (tokens(first) !== tokens(second)) return "The tokens differ, so the scores are not compared.";
  const scores = ({ inputs }) => inputs.flatMap((field) => field.attributions);
  const [a, b] = [scores(first), scores(second)];
  if (a.length < 2) return "";
  const common = top(a).filter((index) => top(b).includes(index)).length;
  const most = Math.min(TOP, a.length);
  return `Agreement of A and B: rank correlation ${correlation(ranks(a), ranks(b)).toFixed(2)}, ${common} of the ${most} strongest tokens in common.`;
}

function top(scores) {
  return [...scores.keys()].sort((i, j) => Math.abs(scores[j]) - Math.abs(scores[i])).slice(0, TOP);
}

// Equal scores share the mean of their ranks.
function ranks(scores) {
  return scores.map((score) => {
    const below = scores.filter((one) => one < score).length;
    const equal = scores.filter((one) => one === score).length;
    return below + (equal - 1) / 2;
  });
}

function correlation(a, b) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [ma, mb] = [mean(a), mean(b)];
  const product = (x, mx, y, my) => x.reduce((sum, value, i) => sum + (value - mx) * (y[i] - my), 0);
  const size = Math.sqrt(product(a, ma, a, ma) * product(b, mb, b, mb));
  return size ? product(a, ma, b, mb) / size : 0;
}
