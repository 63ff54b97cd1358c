// The rules of llmlib.generate.adjust, in the browser: the same probabilities, held by a test.
// Logits come sorted, the largest first.
window.ttaAdjust ??= (logits, temperature, topK, topP, minP) => {
  const n = logits.length, softmax = x => {
    const top = Math.max(...x), e = x.map(v => Math.exp(v - top)), sum = e.reduce((a, b) => a + b, 0);
    return e.map(v => v / sum);
  };
  if (temperature === 0) return logits.map((_, i) => i === 0 ? 1 : 0);
  let x = logits.map(v => v / temperature);
  if (topK !== null && topK < n) x = x.map(v => v < x[topK - 1] ? -Infinity : v);
  let p = softmax(x);
  if (topP !== null) {
    let after = 0;  // what this token and all less likely ones hold together
    const kept = Array(n);
    for (let i = n - 1; i >= 0; i--) { after += p[i]; kept[i] = i === 0 || after > 1 - topP; }
    x = x.map((v, i) => kept[i] ? v : -Infinity);
    p = softmax(x);
  }
  if (minP !== null) p = softmax(x.map((v, i) => p[i] < minP * p[0] ? -Infinity : v));
  return p;
};
if (!customElements.get("tta-sampling")) customElements.define("tta-sampling", class extends window.ttaWidget {
  setup() {
    this.knobs = this.data.knobs.map((knob, k) => [this.querySelector(`input.tx-knob${k}`), knob]);
    this.knobs.forEach(([input]) => input.addEventListener("input", () => this.draw()));
    this.bars = [...this.querySelectorAll(".tx-draws li")];
  }
  draw() {
    const d = this.data, c = d.contexts[+this.slider.value];
    const at = this.knobs.map(([input]) => +input.value);
    const [t, k, p, m] = this.knobs.map(([, knob], i) => knob.values[at[i]]);
    const q = window.ttaAdjust(c.logits, t, k, p, m), shown = c.tokens.length;
    const rest = x => Math.max(0, 1 - x.slice(0, shown).reduce((a, b) => a + b, 0));
    const shares = [...q.slice(0, shown), rest(q)], truth = [...c.truth, Math.max(0, 1 - c.truth.reduce((a, b) => a + b, 0))];
    this.querySelector(".tx-context").textContent = c.text;
    const rows = this.querySelectorAll("tbody tr");
    this.bars.forEach((li, i) => {
      const name = i < shown ? c.tokens[i] : "all others";
      li.querySelector(".tx-name").textContent = name;
      li.querySelector(".tx-bar").style.setProperty("--v", shares[i].toFixed(4));
      li.querySelector(".tx-val").textContent = this.percent(shares[i]);
      li.style.setProperty("--r", truth[i].toFixed(4));
      const cut = i < shown ? q[i] === 0 : q.slice(shown).every(v => v === 0);
      li.classList.toggle("tx-cut", cut);
      rows[i].querySelector("th").textContent = name;
      const cells = rows[i].querySelectorAll("td");
      cells[0].textContent = cut ? "cut" : this.percent(shares[i]);
      cells[1].textContent = this.percent(truth[i]);
    });
    const read = this.sentence(q, c);
    this.querySelector(".tx-read span").textContent = read;
    this.say(this.slider, d.label, c.at, read);
    this.knobs.forEach(([input, knob], i) => this.say(input, knob.label, knob.names[at[i]], read));
  }
  percent(share) { return `${(100 * share).toFixed(1)}\u00a0%`; }
  // how many are left, and how far it is from the truth: half the sum of all differences
  sentence(q, c) {
    const left = q.filter(v => v > 0).length, known = new Map(c.known);
    let gap = 0, lost = 0;
    q.forEach((v, i) => {
      const t = known.get(i) ?? 0;
      gap += Math.abs(v - t) / 2;
      if (v === 0) lost += t;
    });
    const words = left === 1 ? "1 token is" : `${left.toLocaleString("en-US")} tokens are`;
    const gone = lost > 0 ? `; ${this.percent(lost)} of what the world says can no longer be said` : "";
    return `${words} left. Distance from the truth: ${gap.toFixed(3)}${gone}.`;
  }
});
